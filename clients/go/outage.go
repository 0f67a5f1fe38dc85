package everstep

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// outage lets calls that wait for a run (Wait, Result, Watch) go on over an outage of the server, however long: only
// their context ends them.
type outage struct {
	client   *Client
	failures int
}

// ended: the server has answered.
func (o *outage) ended() { o.failures = 0 }

// outlast pauses before the next try. It returns what is no outage, and the cause of ctx's end.
func (o *outage) outlast(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !isOutage(err) {
		return callError(err)
	}
	o.failures++
	return o.client.pauseBeforeRepeat(ctx, err, o.failures)
}

// isOutage: what the server itself says has a reason. Without one, these are what is left of a call whose server or
// connection died.
func isOutage(err error) bool {
	if mayRepeat(err) {
		return true
	}
	return status.Code(err) == codes.DeadlineExceeded && errorInfo(err) == nil
}
