package everstep

import "slices"

// turns decides which branch of a run goes on. One goes on at a time, in the order in which they became ready; when
// none is ready the code has gone as far as it can, and the tasks that wait for that (handing over the next recorded
// result, looking whether the run can be suspended) run one by one. All on the session's goroutine.
type turns struct {
	active *branch
	ready  []*branch
	tasks  []func()
}

// wake makes a branch ready.
func (r *leaseRun) wake(b *branch) {
	r.turns.ready = append(r.turns.ready, b)
	r.touch()
}

// yielded: the active branch is in a durable call, or has ended.
func (r *leaseRun) yielded(b *branch) {
	if r.turns.active == b {
		r.turns.active = nil
	}
	r.touch()
}

// atTurn runs a task when the code has gone as far as it can.
func (r *leaseRun) atTurn(task func()) {
	r.turns.tasks = append(r.turns.tasks, task)
	r.touch()
}

// takeTurn follows every bunch of messages that touched the run.
func (r *leaseRun) takeTurn() {
	t := &r.turns
	for !r.ended && t.active == nil {
		switch {
		case len(t.ready) > 0:
			t.active = t.ready[0]
			t.ready = slices.Delete(t.ready, 0, 1)
			t.active.resume <- struct{}{}
		case len(t.tasks) > 0:
			task := t.tasks[0]
			t.tasks = slices.Delete(t.tasks, 0, 1)
			task()
		default:
			return
		}
	}
}

// The baton keeps branches apart also where the session's goroutine has no say any more: while they are unwound. It is
// a channel, because code that uses a Context wrongly must not end the process as a wrong unlock would.

func (r *leaseRun) takeBaton() { r.baton <- struct{}{} }

func (r *leaseRun) passBaton() {
	select {
	case <-r.baton:
	default:
	}
}

// isOver tells other goroutines that the run has ended here.
func (r *leaseRun) isOver() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}
