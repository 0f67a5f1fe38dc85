// A worker that is cut off again and again (test/soak/reconnects.ts). For each line on stdin it says on stdout, as JSON,
// what it holds. It ends with stdin. With SOAK_EAGER=1 it reconnects at once, without jitter.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"os"
	"runtime"

	everstep "github.com/everstep/everstep/clients/go"
	"github.com/everstep/everstep/clients/go/internal/chance"
)

type sample struct {
	// Live counts goroutines, HeapMiB what is in use after a collection.
	Live    int     `json:"live"`
	HeapMiB float64 `json:"heapMiB"`
	Held    int     `json:"held"`
}

func main() {
	hold := everstep.NewWorkflow("soak-hold", func(ctx everstep.Context, _ any) (any, error) {
		return nil, everstep.Do(ctx, "hold", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	})
	short := everstep.NewWorkflow("soak-short", func(ctx everstep.Context, _ any) (int, error) {
		sum := 0
		for range 2 {
			value, err := everstep.Step(ctx, "add", func(context.Context) (int, error) { return 1, nil })
			if err != nil {
				return 0, err
			}
			sum += value
		}
		return sum, nil
	})
	if os.Getenv("SOAK_EAGER") == "1" {
		chance.Float64 = func() float64 { return 0 }
	}
	worker, err := everstep.NewWorker(everstep.WorkerOptions{
		Workflows: []everstep.AnyWorkflow{hold, short}, Capacity: 100, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	worker.Start()
	asked := bufio.NewScanner(os.Stdin)
	for asked.Scan() {
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		now := sample{
			Live: runtime.NumGoroutine(), HeapMiB: float64(memory.HeapInuse) / (1 << 20), Held: worker.Health().Held,
		}
		if err := json.NewEncoder(os.Stdout).Encode(now); err != nil {
			log.Fatal(err)
		}
	}
	if err := worker.Abort(); err != nil {
		log.Fatal(err)
	}
}
