package everstep

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// session is the session of a worker: one stream at a time, opened again for ever. Leases and their handlers outlive a
// stream; after a cut Hello lists what is held, Welcome says what became of it, and everything without a result is sent
// again.
//
// Its goroutine is loop; everything below belongs to it but the atomics. What the server says comes in
// session_frames.go, the way out is session_drain.go.
type session struct {
	loop      *loop
	transport transport
	random    func() float64
	options   sessionOptions
	sender    *sender
	leases    *leases
	pulse     *pulse
	reconnect *reconnect

	stream   frameStream
	welcomed bool
	comeback *timer
	resume   *pb.Resume
	capacity int
	// helloCapacity is what the last Hello said.
	helloCapacity int32
	lastError     string
	touched       []*leaseRun

	draining   bool
	drainAcked bool
	goodbye    bool
	closed     bool
	// emptied is called when a drain has nothing left to wait for, streamEnded when the goodbye has arrived.
	emptied     func()
	streamEnded func()

	payloadMax atomic.Int64
	// functionsRunning counts step functions and workflow branches, for the error of Close.
	functionsRunning atomic.Int64
	health           atomic.Pointer[Health]
}

// sessionOptions say who the worker is and what it can do.
type sessionOptions struct {
	instanceID string
	identity   string
	buildID    string
	namespace  string
	queues     []string
	bodies     map[string]runBody
	capacity   int
	codec      Codec
	log        *slog.Logger
}

func newSession(t transport, random func() float64, options sessionOptions) *session {
	s := &session{loop: newLoop(), transport: t, random: random, options: options, capacity: options.capacity}
	s.payloadMax.Store(payloadBytesMaxDefault)
	s.sender = newSender(s.loop)
	s.leases = newLeases(s)
	s.reconnect = &reconnect{random: random}
	s.pulse = &pulse{
		loop: s.loop,
		beat: func(beatSeq int64) { s.stream.send(beatFrame(beatSeq, s.leases.beat(beatSeq))) },
		silent: func(timeout time.Duration) {
			s.streamIsOver(fmt.Errorf("nothing was heard for %v", timeout), false)
		},
	}
	s.publishHealth()
	return s
}

// start begins to work. Called once.
func (s *session) start() {
	go s.loop.run(s.endTurn)
	s.loop.post(s.connect)
}

// endTurn lets runs go on whose calls have their answers, then builds frames.
func (s *session) endTurn() {
	for len(s.touched) > 0 {
		touched := s.touched
		s.touched = nil
		for _, run := range touched {
			run.touched = false
			run.takeTurn()
		}
	}
	s.sender.endTurn()
	s.publishHealth()
}

func (s *session) payloadBytesMax() int { return int(s.payloadMax.Load()) }

func (s *session) connect() {
	if s.closed || s.stream != nil {
		return
	}
	events := &boundEvents{session: s}
	s.stream = s.transport.open(events)
	events.stream = s.stream
	s.pulse.opened()
	s.helloCapacity = int32(s.capacity)
	if s.draining {
		s.helloCapacity = 0
	}
	capacity := s.helloCapacity
	s.stream.send(helloFrame(&pb.Hello{
		ProtocolVersion:  1,
		WorkerInstanceId: s.options.instanceID,
		Identity:         s.options.identity,
		Sdk:              sdkName,
		BuildId:          s.options.buildID,
		Namespace:        s.options.namespace,
		Queues:           s.options.queues,
		Workflows:        slices.Sorted(maps.Keys(s.options.bodies)),
		Capacity:         &capacity,
		Resume:           s.resume,
		Held:             s.leases.held(),
	}))
}

// boundEvents brings the events of one stream to the loop, and forgets them when the session has another one.
type boundEvents struct {
	session *session
	stream  frameStream
}

func (e *boundEvents) deliver(event func()) {
	e.session.loop.post(func() {
		if e.stream == e.session.stream {
			event()
		}
	})
}

func (e *boundEvents) received(frame *pb.ServerFrame) {
	e.deliver(func() { e.session.receive(frame) })
}

func (e *boundEvents) writable() { e.deliver(e.session.sender.plan) }

func (e *boundEvents) ended(err error) {
	e.deliver(func() { e.session.streamIsOver(err, e.session.transport.permanent(err)) })
}

// streamIsOver whoever ended it. slow: waiting does not heal it.
func (s *session) streamIsOver(err error, slow bool) {
	s.dropStream()
	if s.closed {
		return
	}
	if s.goodbye {
		s.streamEnded()
		return
	}
	s.leases.dropIncomplete()
	if err != nil {
		s.lastError = err.Error()
	}
	delay := s.reconnect.nextDelay(slow)
	level := slog.LevelWarn
	if slow {
		level = slog.LevelError
	}
	s.log(level, "the stream ended", "error", s.lastError, "reconnect_ms", delay.Milliseconds())
	s.comeback = s.loop.after(delay, s.connect)
	s.checkDrained()
}

func (s *session) dropStream() {
	stream := s.stream
	s.stream = nil
	s.welcomed = false
	s.pulse.stop()
	s.sender.attach(nil)
	if stream != nil {
		stream.abort()
	}
}

// runEnded: the run holds its lease no longer.
func (s *session) runEnded(run *leaseRun) {
	s.leases.remove(run)
	s.checkDrained()
}

func (s *session) setCapacity(capacity int) {
	s.capacity = capacity
	if s.welcomed && !s.draining {
		s.stream.send(capacityFrame(capacity))
	}
}
