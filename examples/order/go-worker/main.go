// A worker in Go: it shares the queue with workers in other languages that serve the same workflow.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
)

type parcel struct {
	Number int `json:"number"`
}

type weighed struct {
	Grams    int    `json:"grams"`
	Language string `json:"language"`
}

func main() {
	weigh := everstep.NewWorkflow("parcel", func(ctx everstep.Context, input parcel) (weighed, error) {
		return everstep.Step(ctx, "weigh", func(context.Context) (weighed, error) {
			time.Sleep(100 * time.Millisecond)
			return weighed{Grams: 100 * input.Number, Language: "Go"}, nil
		})
	})
	worker, err := everstep.NewWorker(everstep.WorkerOptions{
		Address:   os.Args[1],
		Workflows: []everstep.AnyWorkflow{weigh},
		Identity:  fmt.Sprintf("go-worker-%d", os.Getpid()),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go tellWhenReady(worker)
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// tellWhenReady prints a line when the worker has its session.
func tellWhenReady(worker *everstep.Worker) {
	for !worker.Health().Connected {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("ready")
}
