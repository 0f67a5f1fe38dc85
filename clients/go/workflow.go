package everstep

import (
	"context"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// Workflow is a named workflow function: what a worker runs and a client starts.
//
// The function may run many times for one run; recorded results are handed over and their step functions are not called
// again. So everything that has an effect, takes time or depends on chance or the clock belongs into Step, and the code
// between the steps must do the same every time and wait for nothing but durable calls and futures. Goroutines of its
// own are not among its tools; Go and Parallel are.
type Workflow[Input, Output any] struct {
	name string
	run  func(ctx Context, input Input) (Output, error)
}

// NewWorkflow names a workflow function. Workers and clients check the name: 1 to 256 bytes.
func NewWorkflow[Input, Output any](name string, run func(ctx Context, input Input) (Output, error)) *Workflow[Input, Output] {
	return &Workflow[Input, Output]{name: name, run: run}
}

// Name returns the workflow's name.
func (w *Workflow[Input, Output]) Name() string { return w.name }

// Start starts a run of this workflow; see Client.Start.
func (w *Workflow[Input, Output]) Start(ctx context.Context, client *Client, input Input, options ...StartOptions) (*TypedRunHandle[Output], error) {
	run, err := client.Start(ctx, w.name, input, options...)
	if err != nil {
		return nil, err
	}
	return &TypedRunHandle[Output]{RunHandle: run}, nil
}

// Handle stands for a run of this workflow that was started elsewhere; it asks the server nothing.
func (w *Workflow[Input, Output]) Handle(client *Client, runID string) *TypedRunHandle[Output] {
	return &TypedRunHandle[Output]{RunHandle: client.Handle(runID)}
}

// AnyWorkflow is a Workflow of any types.
type AnyWorkflow interface {
	Name() string
	body() runBody
}

// runBody is a workflow function over payloads. It runs on the goroutine of the run's first branch.
type runBody func(ctx Context, run *leaseRun) (*pb.Payload, error)

func (w *Workflow[Input, Output]) body() runBody {
	return func(ctx Context, run *leaseRun) (*pb.Payload, error) {
		var input Input
		if err := decodePayload(run.codec(), run.assignment.GetInput(), &input); err != nil {
			return nil, err
		}
		output, err := w.run(ctx, input)
		if err != nil {
			return nil, err
		}
		return encodeWithin(run.codec(), output, "the output of run "+quote(run.runID), run.session.payloadBytesMax())
	}
}
