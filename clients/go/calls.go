package everstep

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/everstep/everstep/clients/go/internal/backoff"
)

// CallRefusedError means that the server refused a call; its reason is the ErrorReason of the wire, for example
// "RUN_NOT_FOUND", or the status code for an error that is not the server's own, for example "UNAVAILABLE".
type CallRefusedError struct {
	reason  string
	message string
	// Metadata are facts beside the reason, for example the "run_id" that holds a run key.
	Metadata map[string]string
	cause    error
}

func (e *CallRefusedError) Error() string { return fmt.Sprintf("%s: %s", e.reason, e.message) }

// Reason implements Error.
func (e *CallRefusedError) Reason() string { return e.reason }

// Unwrap returns the error of the transport, for status.FromError.
func (e *CallRefusedError) Unwrap() error { return e.cause }

// callWithRetry tries again while the server cannot be reached: every call of the client is idempotent.
func callWithRetry[Response any](ctx context.Context, c *Client, call func() (Response, error)) (Response, error) {
	var end time.Time
	for failures := 1; ; failures++ {
		response, err := call()
		if err == nil {
			return response, nil
		}
		if failures == 1 {
			end = time.Now().Add(callPatience)
		}
		// The deadline goes with the call: the server may say a moment earlier that it is over.
		if _, set := ctx.Deadline(); set && status.Code(err) == codes.DeadlineExceeded && errorInfo(err) == nil {
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			return response, context.Cause(ctx)
		}
		if !time.Now().Before(end) || !mayRepeat(err) {
			return response, callError(err)
		}
		if err := c.pauseBeforeRepeat(ctx, err, failures); err != nil {
			return response, err
		}
	}
}

// pauseBeforeRepeat returns the cause of ctx's end, and the error that was to be repeated when the client is closed.
func (c *Client) pauseBeforeRepeat(ctx context.Context, err error, failures int) error {
	pause := time.NewTimer(backoff.FullJitter(failures, backoff.Call, c.random) + backoff.Call.Base)
	defer pause.Stop()
	select {
	case <-c.closed:
		return callError(err)
	default:
	}
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.closed:
		return callError(err)
	}
}

// mayRepeat tells whether the same call may succeed a moment later. A call whose connection is gone ends as CANCELLED,
// too: callers look at their own context first.
func mayRepeat(err error) bool {
	switch status.Code(err) {
	case codes.Canceled:
		return true
	case codes.Unavailable, codes.Aborted:
		return errorInfo(err).GetReason() != "REQUEST_CONFLICT"
	case codes.ResourceExhausted:
		return errorInfo(err).GetReason() == "BUSY"
	case codes.Internal, codes.Unknown:
		// What the server itself says has a reason: this is what is left of an answer that was cut short.
		_, known := status.FromError(err)
		return known && errorInfo(err) == nil
	default:
		return false
	}
}

func callError(err error) error {
	known, ok := status.FromError(err)
	if !ok {
		return err
	}
	info := errorInfo(err)
	return &CallRefusedError{
		reason:   nonEmpty(info.GetReason(), codeName(known.Code())),
		message:  known.Message(),
		Metadata: info.GetMetadata(),
		cause:    err,
	}
}

func errorInfo(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// codeName turns "DeadlineExceeded" into "DEADLINE_EXCEEDED".
func codeName(code codes.Code) string {
	var name strings.Builder
	for at, letter := range code.String() {
		if at > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}
