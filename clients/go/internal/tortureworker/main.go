// Tortureworker is a worker of the Go SDK for the proofs in test/crash: each time that the body of a step runs it leaves
// a line in the sink. Arguments: address, sink, identity, kill point (see test/crash/sdk-worker.ts).
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
)

var (
	address, sink, identity = os.Args[1], os.Args[2], os.Args[3]
	killPoint               = os.Args[4]
	calls                   atomic.Int64
)

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func call(ctx context.Context) (string, error) {
	number := calls.Add(1)
	if killPoint == "before" && number == 2 || killPoint == "acked" && number == 3 {
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
	worker, err := everstep.NewWorker(everstep.WorkerOptions{
		Address: address, Queues: []string{"sdk"}, Identity: identity, Capacity: 20,
		Workflows: []everstep.AnyWorkflow{everstep.NewWorkflow("torture", torture)},
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := worker.Run(ctx); err != nil {
		panic(err)
	}
}
