package everstep

import (
	"fmt"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
	"github.com/everstep/everstep/clients/go/internal/replay"
)

// SignalOptions change how a signal is waited for. The zero value waits for ever.
type SignalOptions struct {
	// Timeout gives up after this time, with a *SignalTimeoutError; 0 waits for ever.
	Timeout time.Duration
	// NoWait takes a signal that is there, and gives up at once when there is none.
	NoWait bool
	// Key is the step key of the wait; default: the signal's name.
	Key string
}

// timeout is nil for ever.
func (o SignalOptions) timeout() *time.Duration {
	if o.Timeout == 0 && !o.NoWait {
		return nil
	}
	return &o.Timeout
}

// Signal takes the oldest signal of this name, or waits for it. It returns a *SignalTimeoutError when its timeout came
// first, and a *CancelledError when the run is cancelled.
func Signal[T any](ctx Context, name string, options ...SignalOptions) (T, error) {
	f, b, begin := prepareSignal[T](ctx, name, options)
	if err := b.wait(func() { begin(); f.inner.await(b) }); err != nil {
		var none T
		return none, err
	}
	return f.value()
}

// SignalAsync begins to wait and returns at once, for First.
func SignalAsync[T any](ctx Context, name string, options ...SignalOptions) *Future[T] {
	f, b, begin := prepareSignal[T](ctx, name, options)
	if err := b.tell(begin); err != nil {
		f.inner = failedFuture(b.run, err)
	}
	return f
}

func prepareSignal[T any](ctx Context, name string, options []SignalOptions) (*Future[T], *branch, func()) {
	b := ctx.currentBranch()
	run := b.run
	f := &Future[T]{inner: &future{run: run}, read: func(payload *pb.Payload) (T, error) {
		var value T
		err := decodePayload(run.codec(), payload, &value)
		return value, err
	}}
	chosen, invalid := optional(options)
	switch {
	case name == "":
		invalid = &InvalidArgumentError{message: "a signal needs a name"}
	case chosen.Timeout < 0 || chosen.Timeout > delayMax:
		invalid = &InvalidArgumentError{
			message: fmt.Sprintf("a signal's timeout is a time up to %v, not %v", delayMax, chosen.Timeout),
		}
	case chosen.Timeout > 0 && chosen.NoWait:
		invalid = &InvalidArgumentError{message: "a signal has a timeout or NoWait, not both"}
	}
	key := nonEmpty(chosen.Key, name)
	return f, b, func() {
		run.claim(key, invalid, f.inner, func(stepKey string) {
			run.beginSignal(stepKey, name, chosen.timeout(), f.inner)
		})
	}
}

func (r *leaseRun) beginSignal(stepKey, name string, timeout *time.Duration, f *future) {
	wait := func(pending bool) {
		r.whenLive(func() { r.waits.signal(stepKey, name, timeout, pending, f) })
	}
	entry := r.journal.Find(stepKey)
	if entry == nil {
		wait(false)
		return
	}
	if replay.KindOf(entry) != replay.Signal {
		r.mismatched(stepKey, replay.Signal, entry)
		return
	}
	timedOut := &SignalTimeoutError{StepKey: stepKey, Name: name}
	switch recorded := entry.GetEntry().(type) {
	case *pb.JournalEntry_Signal:
		r.replay(stepKey, func() { f.resolve(recorded.Signal.GetPayload()) })
	case *pb.JournalEntry_TimerFired:
		r.replay(stepKey, func() { f.reject(timedOut) })
	case *pb.JournalEntry_Timer:
		left := duration(recorded.Timer.GetDelayMs())
		timeout = &left
		wait(true)
	default:
		f.reject(timedOut) // its timer was cancelled from outside
	}
}
