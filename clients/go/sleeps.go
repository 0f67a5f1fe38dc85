package everstep

import (
	"fmt"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
	"github.com/everstep/everstep/clients/go/internal/replay"
)

// Sleep waits durably; a long sleep occupies no worker. It returns a *CancelledError when the run is cancelled.
func Sleep(ctx Context, key string, d time.Duration) error {
	f, b, begin := prepareSleep(ctx, key, d)
	if err := b.wait(func() { begin(); f.inner.await(b) }); err != nil {
		return err
	}
	_, err := f.value()
	return err
}

// SleepAsync begins a sleep and returns at once, for First.
func SleepAsync(ctx Context, key string, d time.Duration) *Future[struct{}] {
	f, b, begin := prepareSleep(ctx, key, d)
	if err := b.tell(begin); err != nil {
		f.inner = failedFuture(b.run, err)
	}
	return f
}

func prepareSleep(ctx Context, key string, d time.Duration) (*Future[struct{}], *branch, func()) {
	b := ctx.currentBranch()
	run := b.run
	f := &Future[struct{}]{inner: &future{run: run}, read: func(*pb.Payload) (struct{}, error) { return struct{}{}, nil }}
	var invalid error
	if d < 0 || d > delayMax {
		invalid = &InvalidArgumentError{message: fmt.Sprintf("a sleep is a time up to %v, not %v", delayMax, d)}
	}
	return f, b, func() {
		run.claim(key, invalid, f.inner, func(stepKey string) { run.beginSleep(stepKey, d, f.inner) })
	}
}

func (r *leaseRun) beginSleep(stepKey string, d time.Duration, f *future) {
	entry := r.journal.Find(stepKey)
	if entry == nil {
		r.whenLive(func() { r.waits.sleep(stepKey, d, false, f) })
		return
	}
	if replay.KindOf(entry) != replay.Sleep {
		r.mismatched(stepKey, replay.Sleep, entry)
		return
	}
	switch recorded := entry.GetEntry().(type) {
	case *pb.JournalEntry_TimerFired:
		r.replay(stepKey, func() { f.resolve(nil) })
	case *pb.JournalEntry_Timer:
		r.whenLive(func() { r.waits.sleep(stepKey, duration(recorded.Timer.GetDelayMs()), true, f) })
	default:
		f.resolve(nil) // its timer was cancelled from outside
	}
}
