package everstep

import (
	"context"
	"errors"
	"io"
	"iter"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// List returns all matching runs, newest first, without payloads; it fetches pages as they are needed. An error is the
// last thing that it yields.
func (c *Client) List(ctx context.Context, filter ListFilter) iter.Seq2[RunInfo, error] {
	return func(yield func(RunInfo, error) bool) {
		request := &pb.ListRunsRequest{
			Filter: &pb.RunFilter{
				Namespace: c.namespace, Workflow: filter.Workflow, Queue: filter.Queue, RunKey: filter.RunKey,
			},
			PageSize: int32(filter.PageSize),
		}
		for _, status := range filter.Statuses {
			wire, err := status.wire()
			if err != nil {
				yield(RunInfo{}, err)
				return
			}
			request.Filter.Statuses = append(request.Filter.Statuses, wire)
		}
		for {
			page, err := call(ctx, c, request, c.rpc.ListRuns)
			if err != nil {
				yield(RunInfo{}, err)
				return
			}
			for _, run := range page.GetRuns() {
				if !yield(newRunInfo(run, c.codec), nil) {
					return
				}
			}
			request.PageToken = page.GetNextPageToken()
			if request.PageToken == "" {
				return
			}
		}
	}
}

// History returns the events of a run so far, in order; it fetches pages as they are needed.
func (c *Client) History(ctx context.Context, runID string) iter.Seq2[*pb.Event, error] {
	return func(yield func(*pb.Event, error) bool) {
		request := &pb.GetRunHistoryRequest{Namespace: c.namespace, RunId: runID}
		for {
			page, err := call(ctx, c, request, c.rpc.GetRunHistory)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, event := range page.GetEvents() {
				if !yield(event, nil) {
					return
				}
			}
			request.PageToken = page.GetNextPageToken()
			if request.PageToken == "" {
				return
			}
		}
	}
}

// Watch returns every event of a run in order, past ones first, and ends after the run has ended. After a cut, and over
// an outage of the server, it goes on behind the last event that was seen. It ends without an error when ctx does.
func (c *Client) Watch(ctx context.Context, runID string, options ...WatchOptions) iter.Seq2[*pb.Event, error] {
	return func(yield func(*pb.Event, error) bool) {
		chosen, err := optional(options)
		if err != nil {
			yield(nil, err)
			return
		}
		watch := &watch{client: c, runID: runID, afterSeq: chosen.AfterSeq, yield: yield, outage: outage{client: c}}
		for {
			err := watch.follow(ctx)
			if watch.stopped || err == nil {
				return
			}
			if err := watch.outage.outlast(ctx, err); err != nil {
				if ctx.Err() == nil {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// watch is one Watch over all its streams.
type watch struct {
	client   *Client
	runID    string
	afterSeq int64
	outage   outage
	yield    func(*pb.Event, error) bool
	stopped  bool
}

// follow returns nil when the run has ended.
func (w *watch) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &pb.WatchRunRequest{Namespace: w.client.namespace, RunId: w.runID, AfterSeq: w.afterSeq}
	stream, err := w.client.rpc.WatchRun(w.client.endpoint.authorize(ctx), request)
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		w.outage.ended()
		for _, event := range response.GetEvents() {
			w.afterSeq = event.GetSeq()
			if !w.yield(event, nil) {
				w.stopped = true
				return nil
			}
		}
	}
}
