package everstep

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
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
	close      sync.Once
	// closed is closed by Close: nothing is repeated any more.
	closed chan struct{}
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
		namespace:  nonEmpty(options.Namespace, os.Getenv("EVERSTEP_NAMESPACE")),
		codec:      codecOrDefault(options.Codec),
		random:     rand.Float64,
		closed:     make(chan struct{}),
	}, nil
}

// Close ends the connection and every call on it.
func (c *Client) Close() error {
	c.close.Do(func() { close(c.closed) })
	return c.connection.Close()
}

// call makes one unary call, again and again while the server cannot be reached.
func call[Request, Response any](ctx context.Context, c *Client, request Request,
	method func(context.Context, Request, ...grpc.CallOption) (Response, error),
) (Response, error) {
	ctx = c.endpoint.authorize(ctx)
	return callWithRetry(ctx, c, func() (Response, error) { return method(ctx, request) })
}

// Start starts a run of the named workflow and returns when it is durable. With the same run id and request id it
// returns the run that is there. A nil input is no input. It takes at most one StartOptions.
//
// A *CallRefusedError has the reason RUN_EXISTS when the id was used for another start, RUN_KEY_TAKEN when another open
// run has the key, PAYLOAD_TOO_LARGE, or INVALID with the field.
func (c *Client) Start(ctx context.Context, workflow string, input any, options ...StartOptions) (*RunHandle, error) {
	chosen, err := optional(options)
	if err != nil {
		return nil, err
	}
	request, err := c.startRequest(workflow, input, chosen)
	if err != nil {
		return nil, err
	}
	response, err := call(ctx, c, request, c.rpc.StartRun)
	if err != nil {
		return nil, err
	}
	return &RunHandle{client: c, RunID: response.GetRun().GetRunId(), AlreadyStarted: response.GetAlreadyStarted()}, nil
}

func (c *Client) startRequest(workflow string, input any, options StartOptions) (*pb.StartRunRequest, error) {
	if err := checkName("a workflow's name", workflow); err != nil {
		return nil, err
	}
	payload, err := encodePayload(c.codec, input)
	if err != nil {
		return nil, err
	}
	request := &pb.StartRunRequest{Namespace: c.namespace, Workflow: workflow, Input: payload}
	options.apply(request)
	return request, nil
}

// Handle stands for a run that was started elsewhere; it asks the server nothing.
func (c *Client) Handle(runID string) *RunHandle {
	return &RunHandle{client: c, RunID: runID, AlreadyStarted: true}
}

// Get returns a run as it is now; a *CallRefusedError with the reason RUN_NOT_FOUND when there is none.
func (c *Client) Get(ctx context.Context, runID string) (RunInfo, error) {
	response, err := call(ctx, c, &pb.GetRunRequest{Namespace: c.namespace, RunId: runID}, c.rpc.GetRun)
	return c.infoOf(response.GetRun(), err)
}

func (c *Client) infoOf(run *pb.Run, err error) (RunInfo, error) {
	if err != nil {
		return RunInfo{}, err
	}
	return newRunInfo(run, c.codec), nil
}

// Wait returns the run when it has ended, or the cause of ctx's end. It goes on over an outage of the server; what the
// server refuses (RUN_NOT_FOUND, PERMISSION_DENIED) is returned at once.
func (c *Client) Wait(ctx context.Context, runID string) (RunInfo, error) {
	request := &pb.WaitRunRequest{Namespace: c.namespace, RunId: runID, TimeoutMs: milliseconds(waitPiece)}
	outage := &outage{client: c}
	for {
		response, err := c.waitPiece(ctx, request)
		if err != nil {
			if err := outage.outlast(ctx, err); err != nil {
				return RunInfo{}, err
			}
			continue
		}
		outage.ended()
		if info := newRunInfo(response.GetRun(), c.codec); info.Status.Ended() {
			return info, nil
		}
	}
}

func (c *Client) waitPiece(ctx context.Context, request *pb.WaitRunRequest) (*pb.WaitRunResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, waitPiece+waitOverdue)
	defer cancel()
	return c.rpc.WaitRun(c.endpoint.authorize(ctx), request)
}

// Result waits as Wait does, and stores the output in what into points to; into may be nil. It returns a
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

// Signal sends a message to an open run and returns its number. A *CallRefusedError has the reason RUN_CLOSED when the
// run has ended, HISTORY_LIMIT when it holds as many signals or events as it may.
func (c *Client) Signal(ctx context.Context, runID, name string, value any, options ...SignalRunOptions) (int64, error) {
	chosen, err := optional(options)
	if err != nil {
		return 0, err
	}
	payload, err := encodePayload(c.codec, value)
	if err != nil {
		return 0, err
	}
	request := &pb.SignalRunRequest{
		Namespace: c.namespace, RunId: runID, Name: name, Payload: payload, RequestId: nonEmpty(chosen.RequestID, newID()),
	}
	response, err := call(ctx, c, request, c.rpc.SignalRun)
	return response.GetSignalId(), err
}

// Cancel asks a run to end; it ends CANCELLED at the latest when the grace is over.
func (c *Client) Cancel(ctx context.Context, runID string, options ...CancelOptions) (RunInfo, error) {
	chosen, err := optional(options)
	if err != nil {
		return RunInfo{}, err
	}
	request := &pb.CancelRunRequest{
		Namespace: c.namespace, RunId: runID, Reason: chosen.Reason, GraceMs: graceMs(chosen.Grace),
	}
	response, err := call(ctx, c, request, c.rpc.CancelRun)
	return c.infoOf(response.GetRun(), err)
}

// Terminate ends a run at once, without asking the worker.
func (c *Client) Terminate(ctx context.Context, runID string, options ...TerminateOptions) (RunInfo, error) {
	chosen, err := optional(options)
	if err != nil {
		return RunInfo{}, err
	}
	request := &pb.TerminateRunRequest{Namespace: c.namespace, RunId: runID, Reason: chosen.Reason}
	response, err := call(ctx, c, request, c.rpc.TerminateRun)
	return c.infoOf(response.GetRun(), err)
}

// Pause sets a run aside; a leased one finishes its running steps within the grace first.
func (c *Client) Pause(ctx context.Context, runID string, options ...PauseOptions) (RunInfo, error) {
	chosen, err := optional(options)
	if err != nil {
		return RunInfo{}, err
	}
	request := &pb.PauseRunRequest{
		Namespace: c.namespace, RunId: runID, Reason: chosen.Reason, GraceMs: graceMs(chosen.Grace),
	}
	response, err := call(ctx, c, request, c.rpc.PauseRun)
	return c.infoOf(response.GetRun(), err)
}

// Resume lets a paused run go on; one that was paused for an uncertain effect needs a resolution.
func (c *Client) Resume(ctx context.Context, runID string, options ...ResumeOptions) (RunInfo, error) {
	chosen, err := optional(options)
	if err != nil {
		return RunInfo{}, err
	}
	request := &pb.ResumeRunRequest{Namespace: c.namespace, RunId: runID}
	if chosen.Resolution != nil {
		verdict, err := chosen.Resolution.wire(c.codec)
		if err != nil {
			return RunInfo{}, err
		}
		request.Resolution = verdict
	}
	response, err := call(ctx, c, request, c.rpc.ResumeRun)
	return c.infoOf(response.GetRun(), err)
}

// Retry opens a FAILED run again; only the steps whose failure ended it run again.
func (c *Client) Retry(ctx context.Context, runID string, options ...RetryRunOptions) (RunInfo, error) {
	chosen, err := optional(options)
	if err != nil {
		return RunInfo{}, err
	}
	request := &pb.RetryRunRequest{
		Namespace: c.namespace, RunId: runID, Reason: chosen.Reason, RequestId: nonEmpty(chosen.RequestID, newID()),
	}
	response, err := call(ctx, c, request, c.rpc.RetryRun)
	return c.infoOf(response.GetRun(), err)
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
