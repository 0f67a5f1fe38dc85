package everstep_test

import (
	"context"
	"testing"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
	"github.com/everstep/everstep/clients/go/internal/servertest"
)

func TestSmoke(t *testing.T) {
	server := servertest.New(t, servertest.Options{LeaseTTL: "3s"})
	flow := everstep.NewWorkflow("add", func(ctx everstep.Context, in int) (int, error) {
		one, err := everstep.Step(ctx, "one", func(context.Context) (int, error) { return in + 1, nil })
		if err != nil {
			return 0, err
		}
		if err := everstep.Sleep(ctx, "nap", 1200*time.Millisecond); err != nil {
			return 0, err
		}
		return everstep.Step(ctx, "two", func(context.Context) (int, error) { return one * 2, nil })
	})
	worker, err := everstep.NewWorker(everstep.WorkerOptions{Address: server.URL, Workflows: []everstep.AnyWorkflow{flow}})
	if err != nil {
		t.Fatal(err)
	}
	worker.Start()
	client, _ := everstep.NewClient(everstep.ClientOptions{Address: server.URL})
	defer client.Close()
	run, err := flow.Start(t.Context(), client, 4)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out, err := run.Result(ctx)
	t.Log(out, err, worker.Health())
	if out != 10 {
		t.Fatal(out)
	}
	for e := range run.Watch(ctx) {
		t.Log(e.Seq, e.Type, e.StepKey)
	}
	if err := worker.Close(ctx); err != nil {
		t.Fatal(err)
	}
}
