package everstep

import (
	"maps"
	"slices"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// sender holds what waits for the stream. Everything of one turn leaves together: acceptances first, because ops stand
// under them; then ops, many in a frame; releases last, because they end the leases of earlier ops.
type sender struct {
	loop        *loop
	outbox      *outbox
	frameOpsMax int
	stream      frameStream
	planned     bool
	accepts     []*pb.Lease
	// releases by their delay in milliseconds.
	releases map[int64][]*pb.Lease

	announced     []announcement
	announceTimer *timer
}

// announcement is a step that may be over before its start is worth a record.
type announcement struct {
	attempt *attempt
	dueAt   time.Time
}

func newSender(l *loop) *sender {
	s := &sender{loop: l, frameOpsMax: frameOpsMaxDefault, releases: map[int64][]*pb.Lease{}}
	s.outbox = &outbox{plan: s.plan}
	return s
}

// attach makes frames leave over this stream from now on; nil: nothing leaves. What a cut leaves behind is forgotten,
// for Hello speaks for both: what it lists is accepted, what it does not list is released.
func (s *sender) attach(stream frameStream) {
	s.stream = stream
	if stream == nil {
		s.accepts = nil
		clear(s.releases)
		return
	}
	s.plan()
}

func (s *sender) accept(lease *pb.Lease) {
	if s.stream != nil {
		s.accepts = append(s.accepts, lease)
		s.plan()
	}
}

func (s *sender) release(lease *pb.Lease, retryAfter time.Duration) {
	if s.stream != nil {
		delayMs := milliseconds(retryAfter)
		s.releases[delayMs] = append(s.releases[delayMs], lease)
		s.plan()
	}
}

// plan makes the end of this turn build frames.
func (s *sender) plan() { s.planned = true }

func (s *sender) endTurn() {
	if s.planned {
		s.planned = false
		s.flush()
	}
}

func (s *sender) flush() {
	stream := s.stream
	if stream == nil {
		return
	}
	if len(s.accepts) > 0 {
		stream.send(acceptFrame(s.accepts))
		s.accepts = nil
	}
	for len(s.outbox.queue) > 0 {
		if stream.busy() {
			return // writable brings it back here
		}
		stream.send(opsFrame(s.outbox.take(s.frameOpsMax, frameBytesMax)))
	}
	for _, delayMs := range slices.Sorted(maps.Keys(s.releases)) {
		stream.send(releaseFrame(s.releases[delayMs], delayMs))
	}
	clear(s.releases)
}

// announce submits the start of an attempt unless it is over very soon: a step that is over by then sends its result
// alone.
func (s *sender) announce(running *attempt) {
	s.announced = append(s.announced, announcement{running, time.Now().Add(startAnnounceDelay)})
	if !s.announceTimer.pending() {
		s.announceTimer = s.loop.after(startAnnounceDelay, s.submitAnnounced)
	}
}

func (s *sender) submitAnnounced() {
	now := time.Now()
	due := 0
	for due < len(s.announced) && !s.announced[due].dueAt.After(now) {
		s.announced[due].attempt.announceStart()
		due++
	}
	s.announced = slices.Delete(s.announced, 0, due)
	if len(s.announced) > 0 {
		s.announceTimer = s.loop.after(s.announced[0].dueAt.Sub(now), s.submitAnnounced)
	}
}

func (s *sender) close() {
	s.announceTimer.stop()
	s.announced = nil
}
