package everstep

import (
	"errors"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// Go runs fn as another branch of the run and returns at once; Future.Get waits for its result. Branches run one at a
// time between their durable calls, in an order that is the same at every replay, so they may share variables.
func Go[T any](ctx Context, fn func(ctx Context) (T, error)) *Future[T] {
	parent := ctx.currentBranch()
	run := parent.run
	var value T
	f := &Future[T]{inner: &future{run: run}, read: func(*pb.Payload) (T, error) { return value, nil }}
	child := newBranch(run)
	body := func() (err error) {
		value, err = fn(newContext(child))
		return err
	}
	err := parent.tell(func() {
		run.startBranch(child, body, func(err error) { f.inner.settle(nil, err) })
	})
	if err != nil {
		f.inner = failedFuture(run, err)
	}
	return f
}

// Parallel runs every function as a branch of its own, waits for all of them, and returns their errors joined, in the
// order of the functions.
func Parallel(ctx Context, branches ...func(ctx Context) error) error {
	futures := make([]*Future[struct{}], len(branches))
	for at, fn := range branches {
		futures[at] = Go(ctx, func(ctx Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	}
	errs := make([]error, len(branches))
	for at, f := range futures {
		_, errs[at] = f.Get(ctx)
	}
	return errors.Join(errs...)
}

// startBranch makes a branch ready; ended runs on the session's goroutine when its function has returned.
func (r *leaseRun) startBranch(b *branch, body func() error, ended func(error)) {
	if r.ended {
		return
	}
	r.session.loop.spawn(func() {
		b.execute(body, func(err error) {
			r.session.loop.post(func() {
				r.yielded(b)
				ended(err)
			})
		})
	})
	r.wake(b)
}
