package everstep

import (
	"sync"
	"time"
)

// loop is the goroutine that owns the state of a session. Whatever happens elsewhere (frames, timers, results of user
// functions, calls of workflow code) comes in as a function that it runs; so nothing in the session needs a lock. User
// code never runs on it.
type loop struct {
	inbox chan func()
	// over is closed when nothing is run any more.
	over chan struct{}
	// routines counts the goroutines beside the loop: streams, workflow branches, step functions.
	routines sync.WaitGroup
	stopped  bool
}

func newLoop() *loop {
	return &loop{inbox: make(chan func(), inboxLength), over: make(chan struct{})}
}

// run works until stop was called. endTurn runs after each bunch of messages: that is when frames are built.
func (l *loop) run(endTurn func()) {
	defer close(l.over)
	for !l.stopped {
		(<-l.inbox)()
		l.runWaiting()
		endTurn()
	}
}

func (l *loop) runWaiting() {
	for range turnMessagesMax {
		select {
		case message := <-l.inbox:
			message()
		default:
			return
		}
	}
}

// stop ends the loop after this turn. Only called on the loop.
func (l *loop) stop() { l.stopped = true }

// post hands a function to the loop; false when the loop is over. Never called on the loop: its inbox may be full.
func (l *loop) post(message func()) bool {
	select {
	case l.inbox <- message:
		return true
	case <-l.over:
		return false
	}
}

// ask runs a function on the loop and waits for it; false when the loop ended before it could.
func (l *loop) ask(question func()) bool {
	answered := make(chan struct{})
	if !l.post(func() { question(); close(answered) }) {
		return false
	}
	select {
	case <-answered:
		return true
	case <-l.over:
		return false
	}
}

// spawn runs a function on a goroutine of its own.
func (l *loop) spawn(run func()) {
	l.routines.Add(1)
	go func() {
		defer l.routines.Done()
		run()
	}()
}

// timer is a pending call of the loop. A nil timer is one that is not set.
type timer struct {
	alarm   *time.Timer
	stopped bool
}

// after runs fire on the loop when the delay has passed, unless the timer is stopped before.
func (l *loop) after(delay time.Duration, fire func()) *timer {
	set := &timer{}
	set.alarm = time.AfterFunc(delay, func() {
		l.post(func() {
			if set.stopped {
				return
			}
			set.stopped = true
			fire()
		})
	})
	return set
}

func (t *timer) stop() {
	if t == nil {
		return
	}
	t.stopped = true
	t.alarm.Stop()
}

// pending tells whether the timer is still to fire.
func (t *timer) pending() bool {
	return t != nil && !t.stopped
}
