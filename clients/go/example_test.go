package everstep_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
	"github.com/everstep/everstep/clients/go/everstepv1"
)

// A workflow, its worker and a run of it.
func Example() {
	type Guest struct{ Name string }
	hello := everstep.NewWorkflow("example-hello", func(ctx everstep.Context, guest Guest) (string, error) {
		greeting, err := everstep.Step(ctx, "greet", func(context.Context) (string, error) {
			return "Hello " + guest.Name, nil
		})
		if err != nil {
			return "", err
		}
		if err := everstep.Sleep(ctx, "breathe", 50*time.Millisecond); err != nil {
			return "", err
		}
		answer, err := everstep.Signal[string](ctx, "answer", everstep.SignalOptions{Timeout: time.Minute})
		return greeting + "; " + answer, err
	})

	worker, err := everstep.NewWorker(everstep.WorkerOptions{Workflows: []everstep.AnyWorkflow{hello}})
	if err != nil {
		log.Fatal(err)
	}
	worker.Start()
	defer worker.Close(context.Background())

	client, err := everstep.NewClient(everstep.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	run, err := hello.Start(ctx, client, Guest{Name: "Ada"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := run.Signal(ctx, "answer", "fine, thanks"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Result(ctx))
	// Output: Hello Ada; fine, thanks <nil>
}

// A worker process works until it is told to stop, and then gives back what it holds.
func ExampleWorker_Run() {
	idle := everstep.NewWorkflow("example-idle", func(everstep.Context, any) (any, error) { return nil, nil })
	worker, err := everstep.NewWorker(everstep.WorkerOptions{
		Workflows: []everstep.AnyWorkflow{idle},
		Queues:    []string{"default", "reports"},
		Capacity:  100,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// A failed attempt is tried again; when the attempts are exhausted the workflow gets the stored failure.
func ExampleStep() {
	payment := everstep.NewWorkflow("example-payment", func(ctx everstep.Context, cents int) (string, error) {
		charge := func(ctx context.Context) (string, error) {
			attempt := everstep.AttemptOf(ctx)
			if attempt.Attempt == 1 {
				return "", errors.New("the bank does not answer")
			}
			return "", &everstep.NonRetryableError{Type: "CardDeclined", Message: "no funds"}
		}
		receipt, err := everstep.Step(ctx, "charge", charge, everstep.StepOptions{
			Retry:   &everstep.RetryOptions{InitialDelay: 10 * time.Millisecond, MaxAttempts: 5},
			Timeout: 10 * time.Second,
		})
		var failed *everstep.StepFailedError
		if errors.As(err, &failed) && failed.Failure.Type == "CardDeclined" {
			return fmt.Sprintf("declined at attempt %d: %s", failed.Attempts, failed.Failure.Message), nil
		}
		return receipt, err
	})
	fmt.Println(runOnce(payment, 4_200))
	// Output: declined at attempt 2: no funds <nil>
}

// Branches run their steps at the same time.
func ExampleParallel() {
	labels := everstep.NewWorkflow("example-parallel", func(ctx everstep.Context, _ any) (string, error) {
		var label, mail string
		err := everstep.Parallel(ctx,
			func(ctx everstep.Context) (err error) {
				label, err = everstep.Step(ctx, "label", func(context.Context) (string, error) { return "a label", nil })
				return err
			},
			func(ctx everstep.Context) (err error) {
				mail, err = everstep.Step(ctx, "mail", func(context.Context) (string, error) { return "a mail", nil })
				return err
			},
		)
		return label + " and " + mail, err
	})
	fmt.Println(runOnce(labels, nil))
	// Output: a label and a mail <nil>
}

// Steps that do not depend on each other need no branches.
func ExampleStepAsync() {
	total := everstep.NewWorkflow("example-async", func(ctx everstep.Context, items []int) (int, error) {
		prices := make([]*everstep.Future[int], len(items))
		for at, item := range items {
			prices[at] = everstep.StepAsync(ctx, fmt.Sprintf("price-%d", at), func(context.Context) (int, error) {
				return item * 10, nil
			})
		}
		sum := 0
		for _, price := range prices {
			value, err := price.Get(ctx)
			if err != nil {
				return 0, err
			}
			sum += value
		}
		return sum, nil
	})
	fmt.Println(runOnce(total, []int{1, 2, 3}))
	// Output: 60 <nil>
}

// The first of several waits wins, and the same one at every replay.
func ExampleFirst() {
	approval := everstep.NewWorkflow("example-first", func(ctx everstep.Context, _ any) (string, error) {
		approved := everstep.SignalAsync[string](ctx, "approval")
		reminder := everstep.SleepAsync(ctx, "patience", 20*time.Millisecond)
		winner, err := everstep.First(ctx, approved, reminder)
		if err != nil {
			return "", err
		}
		return []string{"approved", "nobody approved in time"}[winner], nil
	})
	fmt.Println(runOnce(approval, nil))
	// Output: nobody approved in time <nil>
}

// Cancelled runs may clean up.
func ExampleCancelledError() {
	trip := everstep.NewWorkflow("example-trip", func(ctx everstep.Context, _ any) (any, error) {
		if err := everstep.Do(ctx, "take-seat", func(context.Context) error { return nil }); err != nil {
			return nil, err
		}
		_, err := everstep.Signal[any](ctx, "boarded")
		var cancelled *everstep.CancelledError
		if errors.As(err, &cancelled) {
			undo := func(context.Context) error { fmt.Println("the seat is free again"); return nil }
			return nil, errors.Join(err, everstep.Do(ctx, "free-seat", undo))
		}
		return nil, err
	})
	worker, client := startWorker(trip)
	defer worker.Close(context.Background())
	defer client.Close()
	ctx := context.Background()
	run, err := trip.Start(ctx, client, nil)
	if err != nil {
		log.Fatal(err)
	}
	for event := range run.Watch(ctx) {
		if event.GetType() == everstepv1.EventType_EVENT_TYPE_STEP_COMPLETED {
			break
		}
	}
	if _, err := run.Cancel(ctx, everstep.CancelOptions{Reason: "rain"}); err != nil {
		log.Fatal(err)
	}
	_, err = run.Result(ctx)
	fmt.Println(everstep.ReasonOf(err), errors.Is(err, context.Canceled))
	// Output:
	// the seat is free again
	// CANCELLED true
}

// Watch shows the history of a run, what is past and what is to come.
func ExampleClient_Watch() {
	short := everstep.NewWorkflow("example-watch", func(ctx everstep.Context, _ any) (any, error) {
		return nil, everstep.Do(ctx, "only", func(context.Context) error { return nil })
	})
	worker, client := startWorker(short)
	defer worker.Close(context.Background())
	defer client.Close()
	ctx := context.Background()
	run, err := short.Start(ctx, client, nil)
	if err != nil {
		log.Fatal(err)
	}
	for event, err := range client.Watch(ctx, run.RunID) {
		if err != nil {
			log.Fatal(err)
		}
		if event.GetStepKey() == "" {
			fmt.Println(event.GetType())
		}
	}
	// Output:
	// EVENT_TYPE_RUN_CREATED
	// EVENT_TYPE_LEASE_GRANTED
	// EVENT_TYPE_LEASE_ENDED
	// EVENT_TYPE_RUN_COMPLETED
}

// List yields runs, newest first, page by page.
func ExampleClient_List() {
	client, err := everstep.NewClient(everstep.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	for _, id := range []string{"list-1", "list-2"} {
		options := everstep.StartOptions{RunID: id, Priority: everstep.Priority(0), StartDelay: time.Hour}
		if _, err := client.Start(ctx, "example-list", nil, options); err != nil {
			log.Fatal(err)
		}
	}
	for run, err := range client.List(ctx, everstep.ListFilter{Workflow: "example-list"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(run.RunID, run.Status, run.Priority)
	}
	// Output:
	// list-2 QUEUED 0
	// list-1 QUEUED 0
}

// startWorker returns a worker for one workflow, and a client.
func startWorker(workflow everstep.AnyWorkflow) (*everstep.Worker, *everstep.Client) {
	worker, err := everstep.NewWorker(everstep.WorkerOptions{Workflows: []everstep.AnyWorkflow{workflow}})
	if err != nil {
		log.Fatal(err)
	}
	client, err := everstep.NewClient(everstep.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	worker.Start()
	return worker, client
}

// runOnce runs a workflow from its start to its end.
func runOnce[Input, Output any](workflow *everstep.Workflow[Input, Output], input Input) (Output, error) {
	worker, client := startWorker(workflow)
	defer worker.Close(context.Background())
	defer client.Close()
	run, err := workflow.Start(context.Background(), client, input)
	if err != nil {
		log.Fatal(err)
	}
	return run.Result(context.Background())
}
