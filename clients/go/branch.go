package everstep

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// branch is one line of execution of a workflow: the function itself, or what Go and Parallel started. Its goroutine
// runs user code only while it holds the run's baton, so the branches of a run never run at the same time, and the
// session's goroutine (turns.go) decides in which order they do. That makes the order the same at every replay.
type branch struct {
	run    *leaseRun
	resume chan struct{}
	// calling is set while a durable call of this branch is under way, and for ever when its function has returned.
	calling atomic.Bool
}

func newBranch(run *leaseRun) *branch {
	return &branch{run: run, resume: make(chan struct{}, 1)}
}

// execute runs body when it is this branch's turn, and hands its end to done (not on the session's goroutine).
func (b *branch) execute(body func() error, done func(error)) {
	select {
	case <-b.resume:
	case <-b.run.over:
		return
	}
	b.run.takeBaton()
	defer b.run.passBaton()
	if b.run.isOver() {
		return
	}
	b.run.session.functionsRunning.Add(1)
	defer b.run.session.functionsRunning.Add(-1)
	protect(body, func(err error) {
		b.calling.Store(true)
		done(err)
	})
}

// wait hands a call to the session's goroutine and returns when the branch may go on. When the run has ended here
// instead (suspended, lease lost), the goroutine is unwound: its deferred functions run, nothing else does.
func (b *branch) wait(call func()) error {
	if err := b.enter(); err != nil {
		return err
	}
	run := b.run
	run.passBaton()
	run.session.loop.post(call)
	select {
	case <-b.resume:
	case <-run.over:
	}
	run.takeBaton()
	if run.isOver() {
		runtime.Goexit()
	}
	b.calling.Store(false)
	return nil
}

// tell hands a call to the session's goroutine and goes on.
func (b *branch) tell(call func()) error {
	if err := b.enter(); err != nil {
		return err
	}
	b.run.session.loop.post(call)
	b.calling.Store(false)
	return nil
}

func (b *branch) enter() error {
	if b.run.isOver() {
		runtime.Goexit()
	}
	if b.calling.CompareAndSwap(false, true) {
		return nil
	}
	return &InvalidArgumentError{message: "durable calls of a branch come one after the other, and none inside a step: " +
		"use the Context that Go or Parallel hands to each branch"}
}

var errGoexit = errors.New("the function ended its goroutine with runtime.Goexit")

// protect calls user code. A panic is an error, and so is a function that ends its goroutine.
func protect(call func() error, done func(error)) {
	var err error
	returned := false
	defer func() {
		if !returned {
			if value := recover(); value != nil {
				err = &PanicError{Value: value, Stack: string(debug.Stack())}
			} else {
				err = errGoexit
			}
		}
		done(err)
	}()
	err = call()
	returned = true
}
