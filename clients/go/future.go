package everstep

import (
	"slices"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// Future is the result of a durable call or a branch that was begun and not yet waited for.
type Future[T any] struct {
	inner *future
	// read runs on the goroutine that waits, when inner is settled.
	read func(*pb.Payload) (T, error)
}

// Get waits for the result. It may be called more than once, from any branch of the run, with that branch's Context.
func (f *Future[T]) Get(ctx Context) (T, error) {
	b := ctx.currentBranch()
	if err := b.wait(func() { f.inner.await(b) }); err != nil {
		var none T
		return none, err
	}
	return f.value()
}

func (f *Future[T]) value() (T, error) {
	if f.inner.err != nil {
		var none T
		return none, f.inner.err
	}
	return f.read(f.inner.payload)
}

func (f *Future[T]) settlement() *future { return f.inner }

// Awaitable is any Future.
type Awaitable interface {
	settlement() *future
}

// First waits until one of the futures has its result and returns its index. The same one wins at every replay. The
// others go on.
func First(ctx Context, futures ...Awaitable) (int, error) {
	if len(futures) == 0 {
		return 0, &InvalidArgumentError{message: "First needs a future to wait for"}
	}
	settlements := make([]*future, len(futures))
	for at, awaitable := range futures {
		settlements[at] = awaitable.settlement()
	}
	b := ctx.currentBranch()
	winner := 0
	err := b.wait(func() {
		awaitFirst(b, settlements, func(first *future) { winner = slices.Index(settlements, first) })
	})
	return winner, err
}

// future is the settlement of one durable call, owned by the session's goroutine. Settling it frees its step key for
// the next use, and makes ready whoever waits.
type future struct {
	run *leaseRun
	// base is the step key as the code says it; empty if none is held.
	base    string
	settled bool
	// order counts the settlements of the run.
	order   int
	payload *pb.Payload
	err     error
	waiters []*waiter
}

// waiter is a branch that waits for one or for the first of several futures.
type waiter struct {
	branch *branch
	first  *future
	won    func(*future)
}

func (f *future) resolve(payload *pb.Payload) { f.settle(payload, nil) }

func (f *future) reject(err error) { f.settle(nil, err) }

func (f *future) settle(payload *pb.Payload, err error) {
	if f.settled {
		return
	}
	f.settled, f.payload, f.err = true, payload, err
	f.run.settlements++
	f.order = f.run.settlements
	if f.base != "" {
		f.run.keys.Release(f.base)
	}
	for _, waiting := range f.waiters {
		waiting.wake(f)
	}
	f.waiters = nil
}

func (w *waiter) wake(f *future) {
	if w.first != nil {
		return // another future of First came before
	}
	w.first = f
	if w.won != nil {
		w.won(f)
	}
	w.branch.run.wake(w.branch)
}

// await makes b, which is in a durable call, ready when f is settled.
func (f *future) await(b *branch) { awaitFirst(b, []*future{f}, nil) }

func awaitFirst(b *branch, futures []*future, won func(*future)) {
	b.run.yielded(b)
	waiting := &waiter{branch: b, won: won}
	var earliest *future
	for _, f := range futures {
		if f.settled && (earliest == nil || f.order < earliest.order) {
			earliest = f
		}
	}
	if earliest != nil {
		waiting.wake(earliest)
		return
	}
	for _, f := range futures {
		f.waiters = append(f.waiters, waiting)
	}
}

// failedFuture stands for a call that was wrong in itself.
func failedFuture(run *leaseRun, err error) *future {
	return &future{run: run, settled: true, err: err}
}
