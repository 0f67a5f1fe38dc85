package everstep

import "context"

// runAborts are the two contexts of a run. Both end with the run, so that whatever hangs on them is let go.
type runAborts struct {
	// leaseContext ends when the lease does.
	leaseContext context.Context
	// cancelContext ends with it, and at a cancel.
	cancelContext context.Context
	endLease      context.CancelCauseFunc
	endCancel     context.CancelCauseFunc
}

func newRunAborts() runAborts {
	leaseContext, endLease := context.WithCancelCause(context.Background())
	cancelContext, endCancel := context.WithCancelCause(leaseContext)
	return runAborts{leaseContext, cancelContext, endLease, endCancel}
}

func (a *runAborts) cancel(reason *CancelledError) { a.endCancel(reason) }

func (a *runAborts) lose(reason *LeaseLostError) { a.endLease(reason) }
