package everstep

import (
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
	"github.com/everstep/everstep/clients/go/internal/backoff"
)

// reconnect says when the next stream is opened: soon and spread out, as the server says, or slowly when waiting does
// not heal it.
type reconnect struct {
	random   func() float64
	failures int
	goAway   *pb.GoAway
}

// succeeded: the session is up.
func (r *reconnect) succeeded() { r.failures = 0 }

// told: the server said when to come back.
func (r *reconnect) told(goAway *pb.GoAway) { r.goAway = goAway }

// nextDelay follows the end of a stream.
func (r *reconnect) nextDelay(slow bool) time.Duration {
	goAway := r.goAway
	r.goAway = nil
	r.failures++
	if slow {
		return backoff.Slow(r.random)
	}
	delay := backoff.FullJitter(r.failures, backoff.Reconnect, r.random)
	if goAway == nil {
		return delay
	}
	jitter := time.Duration(r.random() * float64(duration(goAway.GetJitterMs())))
	return max(delay, duration(goAway.GetReconnectAfterMs())+jitter)
}
