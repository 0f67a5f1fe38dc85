package everstep

import (
	"slices"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

type waitKind int

const (
	sleepWait waitKind = iota
	signalWait
	retryWait
)

// wait is one thing that a branch waits for.
type wait struct {
	kind   waitKind
	key    string
	future *future
	// dueAt is zero for a signal that is waited for without a timeout, or whose timer is not set yet.
	dueAt time.Time

	// name and the next two are of a signal; timeout is nil once its timer was set.
	name      string
	timeout   *time.Duration
	consuming bool

	// timer and step are of a retry.
	timer *timer
	step  *stepCall
}

// waits is what the branches of one run wait for: sleeps, signals, and the next attempt of a step. All of them are
// durable, so when nothing else goes on the run can be suspended on them. The server decides when a timer fires and who
// gets a signal; the local clock only decides whether it is worth holding the lease meanwhile.
type waits struct {
	run *leaseRun
	// pending in order of the calls: the first waiter for a name gets the first signal.
	pending []*wait
	// open counts the signals that are there and not asked for, by name.
	open map[string]int
}

func newWaits(run *leaseRun) *waits {
	return &waits{run: run, open: map[string]int{}}
}

func (w *waits) find(key string) *wait {
	for _, waiting := range w.pending {
		if waiting.key == key {
			return waiting
		}
	}
	return nil
}

// end takes a wait out; false when it was not there any more.
func (w *waits) end(waiting *wait) bool {
	at := slices.Index(w.pending, waiting)
	if at < 0 {
		return false
	}
	w.pending = slices.Delete(w.pending, at, at+1)
	waiting.timer.stop()
	return true
}

// sleep: pending is set when the timer was set under an earlier lease.
func (w *waits) sleep(key string, delay time.Duration, pending bool, f *future) {
	if w.run.cancelled != nil {
		f.reject(w.run.cancelled)
		return
	}
	w.pending = append(w.pending, &wait{kind: sleepWait, key: key, dueAt: time.Now().Add(delay), future: f})
	if !pending {
		w.setTimer(key, delay, "")
	}
	w.run.planIdleCheck()
}

func (w *waits) backOff(step *stepCall, delay time.Duration) {
	run := w.run
	switch {
	case run.cancelled != nil && !step.calledAfterCancel:
		step.future.reject(run.cancelled)
		return
	case delay <= 0:
		step.due()
		return
	}
	key := step.stepKey
	alarm := run.session.loop.after(delay, func() { run.whenLive(func() { w.retryDue(key) }) })
	waiting := &wait{kind: retryWait, key: key, dueAt: time.Now().Add(delay), timer: alarm, step: step, future: step.future}
	w.pending = append(w.pending, waiting)
	run.planIdleCheck()
}

// timerFired is true when a wait took it.
func (w *waits) timerFired(key string) bool {
	waiting := w.find(key)
	if waiting == nil || waiting.kind == retryWait {
		return false
	}
	w.end(waiting)
	waiting.timedOut()
	return true
}

func (waiting *wait) timedOut() {
	if waiting.kind == signalWait {
		waiting.future.reject(&SignalTimeoutError{StepKey: waiting.key, Name: waiting.name})
		return
	}
	waiting.future.resolve(nil)
}

func (w *waits) retryDue(key string) {
	waiting := w.find(key)
	if waiting == nil || waiting.kind != retryWait {
		return
	}
	w.end(waiting)
	waiting.step.due()
}

// cancelAll ends every wait now.
func (w *waits) cancelAll(cancelled *CancelledError) {
	for _, waiting := range slices.Clone(w.pending) {
		switch {
		case waiting.kind == signalWait && waiting.consuming:
			continue // its answer is on the way and is the truth
		case waiting.kind == retryWait && waiting.step.calledAfterCancel:
			continue
		}
		w.end(waiting)
		waiting.future.reject(cancelled)
	}
}

// allLong tells whether the run should give up its lease for these waits: none of them ends soon.
func (w *waits) allLong() bool {
	now := time.Now()
	for _, waiting := range w.pending {
		if waiting.kind == signalWait && waiting.consuming {
			return false
		}
		heldMax := sleepHeldMax
		if waiting.kind == retryWait {
			heldMax = retryHeldMax
		}
		if !waiting.dueAt.IsZero() && waiting.dueAt.Sub(now) <= heldMax {
			return false
		}
	}
	return len(w.pending) > 0 && len(w.signalNames()) < awaitsMax // a suspend could not name all signals and a timer
}

// awaits is what a suspended run waits for, no more than the server takes: every signal, and of what is due what is due
// first. What is left out is due later than something that wakes the run, and is awaited by the suspend after that.
func (w *waits) awaits() []*pb.Await {
	var awaits []*pb.Await
	due := w.firstDue(awaitsMax - len(w.signalNames()))
	names := map[string]bool{}
	for _, waiting := range w.pending {
		if due[waiting] {
			awaits = append(awaits, waiting.dueAwait())
		}
		if waiting.kind == signalWait && !names[waiting.name] {
			names[waiting.name] = true
			awaits = append(awaits, &pb.Await{What: &pb.Await_Signal{Signal: waiting.name}, StepKey: waiting.key})
		}
	}
	return awaits
}

func (w *waits) signalNames() map[string]bool {
	names := map[string]bool{}
	for _, waiting := range w.pending {
		if waiting.kind == signalWait {
			names[waiting.name] = true
		}
	}
	return names
}

// firstDue are the waits that are due at some time, the first ones if they are more than room.
func (w *waits) firstDue(room int) map[*wait]bool {
	var timed []*wait
	for _, waiting := range w.pending {
		if !waiting.dueAt.IsZero() {
			timed = append(timed, waiting)
		}
	}
	slices.SortStableFunc(timed, func(one, other *wait) int { return one.dueAt.Compare(other.dueAt) })
	due := map[*wait]bool{}
	for _, waiting := range timed[:min(len(timed), room)] {
		due[waiting] = true
	}
	return due
}

// dueAwait awaits the time of a wait.
func (waiting *wait) dueAwait() *pb.Await {
	if waiting.kind == retryWait {
		return &pb.Await{What: &pb.Await_Retry{Retry: waiting.key}}
	}
	return &pb.Await{What: &pb.Await_Timer{Timer: waiting.key}}
}

// drop: the run is unwound, its futures never settle.
func (w *waits) drop() {
	for _, waiting := range w.pending {
		waiting.timer.stop()
	}
	w.pending = nil
	clear(w.open)
}

func (w *waits) setTimer(key string, delay time.Duration, signalName string) {
	setting := &pb.TimerSetting{StepKey: key, DelayMs: milliseconds(delay), SignalName: signalName}
	w.run.submit([]*pb.Change{setTimerChange(setting)}, 0, opHandlers{adds: addsTimer, refused: func(refusal *pb.OpRefusal) {
		waiting := w.find(key)
		if waiting == nil || waiting.kind == retryWait {
			return
		}
		w.end(waiting)
		asked := "sleep"
		if signalName != "" {
			asked = "wait for a signal"
		}
		w.run.refuseCall(refusal, waiting.future, key, asked)
	}})
}
