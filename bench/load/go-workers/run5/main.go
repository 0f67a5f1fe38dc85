// The real SDK worker, in its own process: five steps of almost no work each. Prints how many runs it ended.
// run5 URL CAPACITY
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
)

func main() {
	capacity, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	defer profile()()
	var finished atomic.Int64
	step := func(context.Context) (string, error) { return "twenty bytes of step", nil }
	bench := everstep.NewWorkflow("bench", func(ctx everstep.Context, _ any) (string, error) {
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			if _, err := everstep.Step(ctx, key, step); err != nil {
				return "", err
			}
		}
		finished.Add(1)
		return "done", nil
	})
	worker, err := everstep.NewWorker(everstep.WorkerOptions{
		Address: os.Args[1], Workflows: []everstep.AnyWorkflow{bench}, Capacity: capacity,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			fmt.Println(finished.Load())
		}
	}()
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// profile writes a CPU profile into EVERSTEP_BENCH_WORKER_PROFILE, if that is set.
func profile() (end func()) {
	folder := os.Getenv("EVERSTEP_BENCH_WORKER_PROFILE")
	if folder == "" {
		return func() {}
	}
	file, err := os.Create(fmt.Sprintf("%s/go-%d.pprof", folder, os.Getpid()))
	if err != nil {
		log.Fatal(err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		log.Fatal(err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	}
}
