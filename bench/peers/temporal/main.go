// Five-step runs on Temporal's test server, which keeps its SQLite database in memory: in closed loops, with one worker
// in the same process, as its own tests do it.
// temporal IN_FLIGHT
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	serverlog "go.temporal.io/server/common/log"
	"go.temporal.io/server/temporal"
	"go.temporal.io/server/temporaltest"
)

const (
	queue = "bench"
	// As many latencies as the other peers keep.
	keptLatencies = 1000
)

func step(context.Context) (string, error) { return "twenty bytes of step", nil }

// bench runs five activities, each recorded by the server before the next one is scheduled.
func bench(ctx workflow.Context) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	for range 5 {
		var output string
		if err := workflow.ExecuteActivity(ctx, step).Get(ctx, &output); err != nil {
			return "", err
		}
	}
	return "done", nil
}

// tally counts runs that have ended and how long the newest of them took.
type tally struct {
	mutex     sync.Mutex
	finished  int
	latencies []float64
}

func (t *tally) add(took time.Duration) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	ms := float64(took.Microseconds()) / 1000
	if len(t.latencies) < keptLatencies {
		t.latencies = append(t.latencies, ms)
	} else {
		t.latencies[t.finished%keptLatencies] = ms
	}
	t.finished++
}

func (t *tally) report() map[string]any {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	sorted := append([]float64(nil), t.latencies...)
	sort.Float64s(sorted)
	at := func(q float64) float64 {
		if len(sorted) == 0 {
			return 0
		}
		return sorted[int(q*float64(len(sorted)-1))]
	}
	return map[string]any{"finished": t.finished, "p50Ms": at(0.5), "p99Ms": at(0.99), "enginePid": os.Getpid()}
}

func main() {
	inFlight, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	quiet := sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	server := temporaltest.NewServer(
		temporaltest.WithBaseClientOptions(client.Options{Logger: quiet}),
		temporaltest.WithBaseWorkerOptions(worker.Options{
			MaxConcurrentActivityExecutionSize:     inFlight,
			MaxConcurrentWorkflowTaskExecutionSize: inFlight,
			MaxConcurrentActivityTaskPollers:       16,
			MaxConcurrentWorkflowTaskPollers:       16,
		}),
		temporaltest.WithBaseServerOptions(temporal.WithLogger(serverlog.NewNoopLogger())),
	)
	server.NewWorker(queue, func(registry worker.Registry) {
		registry.RegisterWorkflow(bench)
		registry.RegisterActivity(step)
	})
	caller := server.GetDefaultClient()
	var runs tally
	for range inFlight {
		go loop(caller, &runs)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	output := json.NewEncoder(os.Stdout)
	for {
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Millisecond):
			// Whoever reads has gone when this fails.
			if output.Encode(runs.report()) != nil {
				return
			}
		}
	}
}

func loop(caller client.Client, runs *tally) {
	for {
		startedAt := time.Now()
		run, err := caller.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{TaskQueue: queue}, bench)
		if err == nil {
			err = run.Get(context.Background(), nil)
		}
		if err != nil {
			log.Fatal(err)
		}
		runs.add(time.Since(startedAt))
	}
}
