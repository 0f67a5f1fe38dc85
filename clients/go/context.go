package everstep

import "context"

// Context is what workflow code knows of its run, and what its durable calls (Step, Sleep, Signal, Go) need. It belongs
// to one branch: Go and Parallel hand every branch its own.
//
// It is a context.Context: it ends when a cancel was requested, with a *CancelledError as its cause, and when this
// worker no longer holds the run, with a *LeaseLostError.
type Context interface {
	context.Context
	RunID() string
	Workflow() string
	Namespace() string
	// RunKey is empty if the run has none.
	RunKey() string
	// FencingToken grows with every lease of the run: hand it to systems that can refuse writes of an older holder.
	FencingToken() int64
	// StepKeys are the step keys that were used so far.
	StepKeys() []string

	currentBranch() *branch
}

type runContext struct {
	context.Context
	branch *branch
}

func newContext(b *branch) Context {
	return &runContext{Context: b.run.aborts.cancelContext, branch: b}
}

func (c *runContext) RunID() string       { return c.branch.run.runID }
func (c *runContext) Workflow() string    { return c.branch.run.assignment.GetWorkflow() }
func (c *runContext) Namespace() string   { return c.branch.run.assignment.GetNamespace() }
func (c *runContext) RunKey() string      { return c.branch.run.assignment.GetRunKey() }
func (c *runContext) FencingToken() int64 { return c.branch.run.fencingToken }

func (c *runContext) StepKeys() []string {
	var keys []string
	run := c.branch.run
	run.session.loop.ask(func() { keys = run.keys.List() })
	return keys
}

func (c *runContext) currentBranch() *branch { return c.branch }
