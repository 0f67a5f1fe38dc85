package everstep

import (
	"slices"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// outbox holds the ops of all leases that wait for the stream. They leave once per turn, many in a frame: that is what
// makes the stream fast.
type outbox struct {
	queue []*outgoingOp
	// plan is called whenever there is something to send.
	plan func()
}

func (o *outbox) enqueue(op *outgoingOp) {
	o.queue = append(o.queue, op)
	o.plan()
}

// remove takes back an op that has not left. Rare: only after a refusal.
func (o *outbox) remove(op *outgoingOp) {
	if at := slices.Index(o.queue, op); at >= 0 {
		o.queue = slices.Delete(o.queue, at, at+1)
	}
}

// take returns the ops of the next frame, oldest first, within both limits; at least one.
func (o *outbox) take(opsMax, bytesMax int) []*pb.Op {
	count, bytes := 0, 0
	for count < len(o.queue) && count < opsMax {
		bytes += o.queue[count].bytes
		if count > 0 && bytes > bytesMax {
			break
		}
		count++
	}
	ops := make([]*pb.Op, count)
	for at, op := range o.queue[:count] {
		ops[at] = op.leave()
	}
	o.queue = o.queue[count:]
	if len(o.queue) == 0 {
		o.queue = nil
	}
	return ops
}

// clear forgets everything: after a cut, what is not acknowledged is queued again by its pipe.
func (o *outbox) clear() { o.queue = nil }
