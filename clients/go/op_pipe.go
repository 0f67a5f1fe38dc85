package everstep

import (
	"slices"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
	"github.com/everstep/everstep/clients/go/internal/backoff"
)

// opPipe carries the ops of one lease, in order. Results come back in the order of the ops.
//
// Flowing: an op gets its id and goes to the outbox. After a refusal the server refuses all later ops of the lease
// (PRECEDING_FAILED) until one acknowledges it, so the pipe is held: new ops are parked, ops in flight are awaited;
// when none is left, what was refused for that reason or may succeed later goes out again, in order, and the first new
// id acknowledges the refusal. The pipe flows again.
type opPipe struct {
	lease   *pb.Lease
	outbox  *outbox
	loop    *loop
	random  func() float64
	lost    func(why string)
	abandon func(why string)

	inFlight []*outgoingOp
	parked   []*outgoingOp
	again    []*outgoingOp
	held     bool
	renumber bool
	closed   bool
	lastOpID int64
	// unacknowledged is the refusal that no op has acknowledged yet, for Hello: it lets a restarted server refuse what
	// it would have refused before. lastRefused is the newest one ever.
	unacknowledged int64
	lastRefused    int64
	busyCount      int
	// noMore is why the first of a kind was refused, once the run is being paused or its history is full. Every later one
	// of this lease would be, with a round trip for each and a refusal for all ops behind it: results, and the end of the
	// run, would wait for as many round trips.
	noMore map[addition]*pb.OpRefusal
	pause  *timer
}

func (p *opPipe) submit(changes []*pb.Change, bytes int, handlers opHandlers) {
	if p.closed {
		return
	}
	op := newOutgoingOp(p.lease, changes, bytes, handlers)
	noMore := p.noMore[handlers.adds]
	switch {
	case noMore != nil:
		handlers.refused(noMore)
	case p.held:
		p.parked = append(p.parked, op)
	default:
		p.send(op)
	}
}

func (p *opPipe) send(op *outgoingOp) {
	if op.opID == 0 {
		p.lastOpID++
		op.opID = p.lastOpID
	}
	if p.unacknowledged != 0 && op.opID != p.unacknowledged {
		op.afterRefused = p.unacknowledged
		p.unacknowledged = 0
	}
	op.sent = false
	p.inFlight = append(p.inFlight, op)
	p.outbox.enqueue(op)
}

// resend follows a resume: repeats are recognised by their op_id, so everything without a result is sent again.
func (p *opPipe) resend() {
	for _, op := range p.inFlight {
		op.sent = false
		p.outbox.enqueue(op)
	}
}

func (p *opPipe) settle(result *pb.OpResult) {
	at := slices.IndexFunc(p.inFlight, func(op *outgoingOp) bool { return op.opID == result.GetOpId() })
	if at < 0 || p.closed {
		return // a second result, after a resend
	}
	op := p.inFlight[at]
	p.inFlight = slices.Delete(p.inFlight, at, at+1)
	switch outcome := result.GetResult().(type) {
	case *pb.OpResult_Applied:
		if op.opID == p.unacknowledged {
			p.unacknowledged = 0
		}
		p.busyCount = 0
		if op.handlers.applied != nil {
			op.handlers.applied(outcome.Applied)
		}
	case *pb.OpResult_Refused:
		p.refuse(op, outcome.Refused)
	default:
		p.abandon("an op result says neither applied nor refused")
	}
	p.flowIfSettled()
}

func (p *opPipe) refuse(op *outgoingOp, refusal *pb.OpRefusal) {
	reason := refusal.GetReason()
	switch {
	case refusal.GetLeaseLost(), reason == pb.ErrorReason_ERROR_REASON_LEASE_LOST,
		reason == pb.ErrorReason_ERROR_REASON_RUN_CLOSED:
		p.lost(nonEmpty(refusal.GetMessage(), "an op was refused"))
	case reason == pb.ErrorReason_ERROR_REASON_PRECEDING_FAILED:
		if !p.held {
			p.hold(p.lastRefused, p.nextBusyDelay())
		}
		if op.handlers.precedingFailed != nil {
			op.handlers.precedingFailed()
		} else {
			p.again = append(p.again, op)
		}
	case reason == pb.ErrorReason_ERROR_REASON_OP_OUT_OF_ORDER:
		// An op that changed nothing leaves no trace, so its repeat after a resume may come too late: it gets a new id.
		// Those behind it get new ids too, or they would come too late in turn.
		p.hold(op.opID, 0)
		p.renumber = true
		p.again = append(p.again, op)
	case isTransient(refusal):
		p.hold(op.opID, p.transientDelay(refusal))
		p.again = append(p.again, op)
	case reason == pb.ErrorReason_ERROR_REASON_OP_CONFLICT, reason == pb.ErrorReason_ERROR_REASON_INTERNAL:
		p.abandon(refusal.GetMessage())
	default:
		if op.handlers.adds != addsNothing && endsItsKind(refusal) {
			p.refuseLater(op.handlers.adds, refusal)
		}
		p.hold(op.opID, 0)
		if op.handlers.refused != nil {
			op.handlers.refused(refusal)
		}
	}
}

func (p *opPipe) refuseLater(kind addition, refusal *pb.OpRefusal) {
	if p.noMore == nil {
		p.noMore = map[addition]*pb.OpRefusal{}
	}
	p.noMore[kind] = refusal
}

// transientDelay is zero while a pause is pending: many that were refused together are one reason to wait, not many.
func (p *opPipe) transientDelay(refusal *pb.OpRefusal) time.Duration {
	if p.pause.pending() {
		return 0
	}
	return max(duration(refusal.GetRetryAfterMs()), p.nextBusyDelay())
}

func (p *opPipe) nextBusyDelay() time.Duration {
	p.busyCount++
	return backoff.FullJitter(p.busyCount, backoff.Busy, p.random)
}

func (p *opPipe) hold(refusedOpID int64, delay time.Duration) {
	p.unacknowledged, p.lastRefused = refusedOpID, refusedOpID
	p.held = true
	var sent, unsent []*outgoingOp
	for _, op := range p.inFlight {
		if op.sent {
			sent = append(sent, op)
			continue
		}
		p.outbox.remove(op)
		unsent = append(unsent, op)
	}
	p.parked = append(unsent, p.parked...)
	p.inFlight = sent
	if delay == 0 {
		return
	}
	p.pause.stop()
	p.pause = p.loop.after(delay, p.flowIfSettled)
}

func (p *opPipe) flowIfSettled() {
	if !p.held || len(p.inFlight) > 0 || p.pause.pending() || p.closed {
		return
	}
	waiting := append(p.again, p.parked...)
	p.again, p.parked = nil, nil
	p.held = false
	var refused []*outgoingOp
	for _, op := range waiting {
		if p.noMore[op.handlers.adds] != nil {
			refused = append(refused, op)
			continue
		}
		if p.renumber {
			op.opID = 0
		}
		p.send(op)
	}
	p.renumber = false
	for _, op := range refused {
		op.handlers.refused(p.noMore[op.handlers.adds])
	}
}

// close follows the end of the lease: nothing more is sent or heard. With flush, ops that wait in the outbox for the
// stream still leave.
func (p *opPipe) close(flush bool) {
	p.closed = true
	p.pause.stop()
	if !flush {
		for _, op := range p.inFlight {
			if !op.sent {
				p.outbox.remove(op)
			}
		}
	}
	p.inFlight, p.parked, p.again = nil, nil, nil
}

// endsItsKind: the next op of the kind would be refused as well.
func endsItsKind(refusal *pb.OpRefusal) bool {
	switch refusal.GetReason() {
	case pb.ErrorReason_ERROR_REASON_RUN_PAUSED, pb.ErrorReason_ERROR_REASON_HISTORY_LIMIT:
		return true
	default:
		return false
	}
}

// isTransient: refused now, welcome later, with nothing for the workflow to decide.
func isTransient(refusal *pb.OpRefusal) bool {
	switch refusal.GetReason() {
	case pb.ErrorReason_ERROR_REASON_BUSY, pb.ErrorReason_ERROR_REASON_DISK_FULL,
		pb.ErrorReason_ERROR_REASON_SHUTTING_DOWN:
		return true
	case pb.ErrorReason_ERROR_REASON_NOTICES_PENDING, pb.ErrorReason_ERROR_REASON_RUN_PAUSED:
		return false
	default:
		return refusal.GetRetryable()
	}
}

func nonEmpty(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
