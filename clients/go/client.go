package everstep

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// Client starts, watches and steers runs. Every call is idempotent and is repeated while the server cannot be reached.
// Its methods may be called from many goroutines.
type Client struct {
	connection *grpc.ClientConn
	endpoint   endpoint
	rpc        pb.RunServiceClient
	namespace  string
	codec      Codec
	random     func() float64
}

// NewClient checks the options; the connection is opened by the first call.
func NewClient(options ClientOptions) (*Client, error) {
	endpoint, err := newEndpoint(options.Address, options.APIKey, options.TLSCAFile)
	if err != nil {
		return nil, err
	}
	connection, err := endpoint.dial()
	if err != nil {
		return nil, err
	}
	return &Client{
		connection: connection,
		endpoint:   endpoint,
		rpc:        pb.NewRunServiceClient(connection),
		namespace:  options.Namespace,
		codec:      codecOrDefault(options.Codec),
		random:     rand.Float64,
	}, nil
}

// Close ends the connection and every call on it.
func (c *Client) Close() error { return c.connection.Close() }

// call makes one unary call, again and again while the server cannot be reached.
func call[Request, Response any](ctx context.Context, c *Client, request Request,
	method func(context.Context, Request, ...grpc.CallOption) (Response, error),
) (Response, error) {
	ctx = c.endpoint.authorize(ctx)
	return callWithRetry(ctx, c.random, func() (Response, error) { return method(ctx, request) })
}

// Start starts a run of the named workflow. With the same run id and request id it returns the run that is there.
// A nil input is no input.
func (c *Client) Start(ctx context.Context, workflow string, input any, options ...StartOption) (*Run, error) {
	request, err := c.startRequest(workflow, input, options)
	if err != nil {
		return nil, err
	}
	response, err := call(ctx, c, request, c.rpc.StartRun)
	if err != nil {
		return nil, err
	}
	return &Run{client: c, ID: response.GetRun().GetRunId(), AlreadyStarted: response.GetAlreadyStarted()}, nil
}

func (c *Client) startRequest(workflow string, input any, options []StartOption) (*pb.StartRunRequest, error) {
	if err := checkName("a workflow's name", workflow); err != nil {
		return nil, err
	}
	payload, err := encodePayload(c.codec, input)
	if err != nil {
		return nil, err
	}
	request := &pb.StartRunRequest{Namespace: c.namespace, Workflow: workflow, Input: payload}
	for _, option := range options {
		option(request)
	}
	if request.RunId == "" {
		request.RunId = newID()
	}
	if request.RequestId == "" {
		request.RequestId = newID()
	}
	return request, nil
}

// Handle stands for a run that was started elsewhere; it asks the server nothing.
func (c *Client) Handle(runID string) *Run {
	return &Run{client: c, ID: runID, AlreadyStarted: true}
}

// Get returns a run.
func (c *Client) Get(ctx context.Context, runID string) (RunInfo, error) {
	response, err := call(ctx, c, &pb.GetRunRequest{Namespace: c.namespace, RunId: runID}, c.rpc.GetRun)
	return newRunInfo(response.GetRun(), c.codec), err
}

// Wait returns the run when it has ended, or ctx's error.
func (c *Client) Wait(ctx context.Context, runID string) (RunInfo, error) {
	request := &pb.WaitRunRequest{Namespace: c.namespace, RunId: runID, TimeoutMs: milliseconds(waitPiece)}
	for {
		response, err := call(ctx, c, request, c.rpc.WaitRun)
		info := newRunInfo(response.GetRun(), c.codec)
		if err != nil || info.Status.Ended() {
			return info, err
		}
	}
}

// Result waits until the run has ended and stores its output in what into points to; into may be nil. It returns a
// *RunFailedError with the failure and its causes, a *CancelledError or a *RunTerminatedError for a run that ended so.
func (c *Client) Result(ctx context.Context, runID string, into any) error {
	info, err := c.Wait(ctx, runID)
	if err != nil {
		return err
	}
	switch info.Status {
	case RunFailed:
		failure := Failure{Type: "Unknown"}
		if info.Failure != nil {
			failure = *info.Failure
		}
		return &RunFailedError{RunID: runID, Failure: failure}
	case RunCancelled:
		return &CancelledError{RunID: runID}
	case RunTerminated:
		return &RunTerminatedError{RunID: runID}
	}
	if into == nil {
		return nil
	}
	return info.Output.Decode(into)
}

// Signal sends a message to an open run and returns its number. The same requestID has one effect; empty: a new one.
func (c *Client) Signal(ctx context.Context, runID, name string, value any, requestID string) (int64, error) {
	payload, err := encodePayload(c.codec, value)
	if err != nil {
		return 0, err
	}
	request := &pb.SignalRunRequest{
		Namespace: c.namespace, RunId: runID, Name: name, Payload: payload, RequestId: nonEmpty(requestID, newID()),
	}
	response, err := call(ctx, c, request, c.rpc.SignalRun)
	return response.GetSignalId(), err
}

// Cancel asks a run to end; it ends CANCELLED at the latest when the grace is over.
func (c *Client) Cancel(ctx context.Context, runID string, options SteerOptions) (RunInfo, error) {
	request := &pb.CancelRunRequest{
		Namespace: c.namespace, RunId: runID, Reason: options.Reason, GraceMs: options.graceMs(),
	}
	response, err := call(ctx, c, request, c.rpc.CancelRun)
	return newRunInfo(response.GetRun(), c.codec), err
}

// Terminate ends a run at once, without asking the worker.
func (c *Client) Terminate(ctx context.Context, runID string, options SteerOptions) (RunInfo, error) {
	request := &pb.TerminateRunRequest{Namespace: c.namespace, RunId: runID, Reason: options.Reason}
	response, err := call(ctx, c, request, c.rpc.TerminateRun)
	return newRunInfo(response.GetRun(), c.codec), err
}

// Pause sets a run aside; a leased one finishes its running steps within the grace first.
func (c *Client) Pause(ctx context.Context, runID string, options SteerOptions) (RunInfo, error) {
	request := &pb.PauseRunRequest{
		Namespace: c.namespace, RunId: runID, Reason: options.Reason, GraceMs: options.graceMs(),
	}
	response, err := call(ctx, c, request, c.rpc.PauseRun)
	return newRunInfo(response.GetRun(), c.codec), err
}

// Resume lets a paused run go on; one that was paused for an uncertain effect needs a resolution, others nil.
func (c *Client) Resume(ctx context.Context, runID string, resolution *Resolution) (RunInfo, error) {
	request := &pb.ResumeRunRequest{Namespace: c.namespace, RunId: runID}
	if resolution != nil {
		verdict, err := resolution.wire(c.codec)
		if err != nil {
			return RunInfo{}, err
		}
		request.Resolution = verdict
	}
	response, err := call(ctx, c, request, c.rpc.ResumeRun)
	return newRunInfo(response.GetRun(), c.codec), err
}

// Retry opens a FAILED run again; only the steps whose failure ended it run again.
func (c *Client) Retry(ctx context.Context, runID string, options SteerOptions) (RunInfo, error) {
	request := &pb.RetryRunRequest{
		Namespace: c.namespace, RunId: runID, Reason: options.Reason, RequestId: nonEmpty(options.RequestID, newID()),
	}
	response, err := call(ctx, c, request, c.rpc.RetryRun)
	return newRunInfo(response.GetRun(), c.codec), err
}

// Explanation says what a run waits for.
type Explanation struct {
	// Text is one sentence: what it waits for and what will wake it.
	Text string
	// Details are the same as data.
	Details *pb.ExplainRunResponse
	// LeaseRemaining is the time until the lease ends unless it is renewed; 0 if there is none.
	LeaseRemaining time.Duration
}

// Explain says what a run waits for, in words and as data.
func (c *Client) Explain(ctx context.Context, runID string) (Explanation, error) {
	response, err := call(ctx, c, &pb.ExplainRunRequest{Namespace: c.namespace, RunId: runID}, c.rpc.ExplainRun)
	return Explanation{
		Text: response.GetText(), Details: response, LeaseRemaining: duration(response.GetLeaseRemainingMs()),
	}, err
}
