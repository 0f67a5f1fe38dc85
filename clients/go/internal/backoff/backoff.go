// Package backoff says how long to wait before the next try.
package backoff

import "time"

// Bounds of a back-off: the first bound, and the one that no later bound passes.
type Bounds struct {
	Base time.Duration
	Max  time.Duration
}

var (
	// Reconnect stands between two streams of a session: short enough to keep a lease alive, long enough not to storm
	// a restarting server.
	Reconnect = Bounds{Base: 200 * time.Millisecond, Max: 30 * time.Second}
	// Busy is for an op that a full queue or disk refused.
	Busy = Bounds{Base: 100 * time.Millisecond, Max: 5 * time.Second}
	// Call is for unary calls of the client: short enough that a server which is back for two seconds is not missed.
	Call = Bounds{Base: 50 * time.Millisecond, Max: time.Second}
)

// doublingsMax keeps the shift below far from overflow; the largest bound is reached long before.
const doublingsMax = 20

// FullJitter draws anything between 0 and the exponential bound, so that a thousand workers come back spread out.
// random is uniform in [0, 1).
func FullJitter(failures int, bounds Bounds, random func() float64) time.Duration {
	doublings := min(max(failures-1, 0), doublingsMax)
	bound := min(bounds.Max, bounds.Base<<doublings)
	return time.Duration(random() * float64(bound))
}

// Slow is for an error that waiting does not heal (wrong key, wrong version): 30 to 60 s, so that the log stays
// readable.
func Slow(random func() float64) time.Duration {
	return 30*time.Second + time.Duration(random()*float64(30*time.Second))
}
