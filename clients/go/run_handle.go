package everstep

import (
	"context"
	"iter"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// RunHandle is a run as its starter sees it. Its methods are those of the client, for this run.
type RunHandle struct {
	client *Client
	RunID  string
	// AlreadyStarted is true when an earlier call had started it.
	AlreadyStarted bool
}

// Get returns the run as it is now.
func (r *RunHandle) Get(ctx context.Context) (RunInfo, error) { return r.client.Get(ctx, r.RunID) }

// Wait returns the run when it has ended.
func (r *RunHandle) Wait(ctx context.Context) (RunInfo, error) { return r.client.Wait(ctx, r.RunID) }

// Result waits for the run's output; see Client.Result.
func (r *RunHandle) Result(ctx context.Context, into any) error {
	return r.client.Result(ctx, r.RunID, into)
}

// Signal sends a message to the run; see Client.Signal.
func (r *RunHandle) Signal(ctx context.Context, name string, value any, options ...SignalRunOptions) (int64, error) {
	return r.client.Signal(ctx, r.RunID, name, value, options...)
}

// Cancel asks the run to end; see Client.Cancel.
func (r *RunHandle) Cancel(ctx context.Context, options ...CancelOptions) (RunInfo, error) {
	return r.client.Cancel(ctx, r.RunID, options...)
}

// Terminate ends the run at once.
func (r *RunHandle) Terminate(ctx context.Context, options ...TerminateOptions) (RunInfo, error) {
	return r.client.Terminate(ctx, r.RunID, options...)
}

// Retry opens the run again when it has FAILED; see Client.Retry.
func (r *RunHandle) Retry(ctx context.Context, options ...RetryRunOptions) (RunInfo, error) {
	return r.client.Retry(ctx, r.RunID, options...)
}

// Watch returns every event of the run; see Client.Watch.
func (r *RunHandle) Watch(ctx context.Context, options ...WatchOptions) iter.Seq2[*pb.Event, error] {
	return r.client.Watch(ctx, r.RunID, options...)
}

// History returns the events of the run so far.
func (r *RunHandle) History(ctx context.Context) iter.Seq2[*pb.Event, error] {
	return r.client.History(ctx, r.RunID)
}

// TypedRunHandle is a run whose output has a type.
type TypedRunHandle[Output any] struct {
	*RunHandle
}

// Result waits for the run's output; see Client.Result.
func (r *TypedRunHandle[Output]) Result(ctx context.Context) (Output, error) {
	var output Output
	err := r.RunHandle.Result(ctx, &output)
	return output, err
}
