package everstep

import (
	"context"
	"iter"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// Run is a run as its starter sees it.
type Run struct {
	client *Client
	ID     string
	// AlreadyStarted is true when an earlier call had started it.
	AlreadyStarted bool
}

// Get returns the run as it is now.
func (r *Run) Get(ctx context.Context) (RunInfo, error) { return r.client.Get(ctx, r.ID) }

// Wait returns the run when it has ended.
func (r *Run) Wait(ctx context.Context) (RunInfo, error) { return r.client.Wait(ctx, r.ID) }

// Result waits for the run's output; see Client.Result.
func (r *Run) Result(ctx context.Context, into any) error { return r.client.Result(ctx, r.ID, into) }

// Signal sends a message to the run.
func (r *Run) Signal(ctx context.Context, name string, value any) error {
	_, err := r.client.Signal(ctx, r.ID, name, value, "")
	return err
}

// Cancel asks the run to end; see Client.Cancel.
func (r *Run) Cancel(ctx context.Context, options SteerOptions) (RunInfo, error) {
	return r.client.Cancel(ctx, r.ID, options)
}

// Terminate ends the run at once.
func (r *Run) Terminate(ctx context.Context, options SteerOptions) (RunInfo, error) {
	return r.client.Terminate(ctx, r.ID, options)
}

// Retry opens the run again when it has FAILED; see Client.Retry.
func (r *Run) Retry(ctx context.Context, options SteerOptions) (RunInfo, error) {
	return r.client.Retry(ctx, r.ID, options)
}

// Watch returns every event of the run; see Client.Watch.
func (r *Run) Watch(ctx context.Context) iter.Seq2[*pb.Event, error] {
	return r.client.Watch(ctx, r.ID, 0)
}

// History returns the events of the run so far.
func (r *Run) History(ctx context.Context) iter.Seq2[*pb.Event, error] {
	return r.client.History(ctx, r.ID)
}

// TypedRun is a run whose output has a type.
type TypedRun[Output any] struct {
	*Run
}

// Result waits for the run's output; see Client.Result.
func (r *TypedRun[Output]) Result(ctx context.Context) (Output, error) {
	var output Output
	err := r.Run.Result(ctx, &output)
	return output, err
}
