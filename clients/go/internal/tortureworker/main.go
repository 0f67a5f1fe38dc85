// Tortureworker is a worker of the Go SDK for the proofs in test/crash: each time that the body of a step runs it leaves
// a line in the sink. Arguments: address, queue, sink, identity, kill point (see test/crash/sdk-worker.ts). The variable
// TORTURE_WORKERS lets one process be so many workers.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
)

var (
	address, queue, sink = os.Args[1], os.Args[2], os.Args[3]
	identity, killPoint  = os.Args[4], os.Args[5]
	calls                atomic.Int64
)

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// standStill stops the process, by the signal itself or a moment later, and returns at once when it goes on: its report
// is early.
func standStill() {
	before := time.Now()
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	for {
		now := time.Now()
		if now.Sub(before) > 300*time.Millisecond {
			return
		}
		before = now
	}
}

func call(ctx context.Context) (string, error) {
	number := calls.Add(1)
	if killPoint == "before" && number == 2 || killPoint == "acked" && number == 4 {
		die()
	}
	attempt := everstep.AttemptOf(ctx)
	nonce := fmt.Sprintf("%s/%d/%d", identity, os.Getpid(), number)
	line, _ := json.Marshal(map[string]any{"run": attempt.RunID, "key": attempt.StepKey, "attempt": attempt.Attempt, "nonce": nonce})
	file, err := os.OpenFile(sink, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if _, err := file.Write(append(line, '\n')); err != nil {
		return "", err
	}
	time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
	if killPoint == "after" && number == 2 {
		die()
	}
	switch {
	case killPoint == "slow":
		time.Sleep(500 * time.Millisecond)
	case killPoint == "patient":
		time.Sleep(5 * time.Second)
	case killPoint == "hold" && number == 2:
		time.Sleep(10 * time.Minute)
	case killPoint == "stop" && number == 2:
		standStill()
	}
	if killPoint == "during" && number == 2 {
		time.AfterFunc(500*time.Microsecond, die)
	}
	return nonce, nil
}

type input struct {
	Signal bool `json:"signal"`
}

func torture(ctx everstep.Context, in input) (string, error) {
	if _, err := everstep.Step(ctx, "a", call); err != nil {
		return "", err
	}
	if err := everstep.Sleep(ctx, "nap", 30*time.Millisecond); err != nil {
		return "", err
	}
	b, c := everstep.StepAsync(ctx, "b", call), everstep.StepAsync(ctx, "c", call)
	if _, err := b.Get(ctx); err != nil {
		return "", err
	}
	if _, err := c.Get(ctx); err != nil {
		return "", err
	}
	if in.Signal {
		if _, err := everstep.Signal[string](ctx, "go"); err != nil {
			return "", err
		}
	}
	if _, err := everstep.Step(ctx, "d", call); err != nil {
		return "", err
	}
	return "done", nil
}

func main() {
	count := 1
	if many, err := strconv.Atoi(os.Getenv("TORTURE_WORKERS")); err == nil {
		count = many
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var group sync.WaitGroup
	for range count {
		worker, err := everstep.NewWorker(everstep.WorkerOptions{
			Address: address, Queues: []string{queue}, Identity: identity, Capacity: 20,
			Workflows: []everstep.AnyWorkflow{everstep.NewWorkflow("torture", torture)},
		})
		if err != nil {
			panic(err)
		}
		group.Add(1)
		go func() {
			defer group.Done()
			if err := worker.Run(ctx); err != nil {
				panic(err)
			}
		}()
	}
	group.Wait()
}
