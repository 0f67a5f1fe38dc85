package everstep

import (
	"context"
	"time"
)

// drain takes no more work and lets running steps finish until ctx ends; what is left then is aborted and given back.
// It says goodbye and ends the session.
func (s *session) drain(ctx context.Context) {
	emptied := make(chan struct{})
	if !s.loop.ask(func() { s.beginDrain(emptied) }) {
		return
	}
	select {
	case <-emptied:
	case <-ctx.Done():
	case <-s.loop.over:
		return
	}
	arrived := make(chan struct{})
	s.loop.post(func() { s.sayGoodbye(arrived) })
	deadline := time.NewTimer(goodbyeTimeout)
	defer deadline.Stop()
	select {
	case <-arrived:
	case <-deadline.C:
	case <-s.loop.over:
	}
	s.close()
}

func (s *session) beginDrain(emptied chan struct{}) {
	s.draining = true
	s.emptied = func() { close(emptied); s.emptied = nil }
	if s.welcomed {
		s.stream.send(drainFrame())
	}
	for _, run := range s.leases.all() {
		run.giveBack()
	}
	s.checkDrained()
}

// checkDrained: nothing is held, and no Assign can come any more.
func (s *session) checkDrained() {
	if s.emptied == nil || len(s.leases.runs) > 0 || (s.welcomed && !s.drainAcked) {
		return
	}
	s.emptied()
}

func (s *session) sayGoodbye(arrived chan struct{}) {
	s.emptied = nil
	for _, run := range s.leases.all() {
		run.stop()
	}
	s.sender.flush()
	if !s.welcomed {
		close(arrived)
		return
	}
	s.goodbye = true
	s.streamEnded = func() { close(arrived) }
	s.stream.send(goodbyeFrame())
	s.stream.finish()
}

// close ends at once, without a goodbye: what is held goes on elsewhere when its leases end. It may be repeated.
func (s *session) close() {
	s.loop.ask(func() {
		s.closed = true
		s.dropStream()
		s.comeback.stop()
		for _, run := range s.leases.all() {
			run.lost("the worker was closed")
		}
		s.leases.close()
		s.sender.close()
		s.loop.stop()
	})
	<-s.loop.over
}
