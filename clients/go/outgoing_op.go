package everstep

import pb "github.com/everstep/everstep/clients/go/everstepv1"

// opHandlers hear how an op went. Nil ones do not want to know.
type opHandlers struct {
	applied func(*pb.OpApplied)
	// refused for good: the pipe goes on without it.
	refused func(*pb.OpRefusal)
	// precedingFailed: an earlier op was refused. Without this the op is sent again as it is.
	precedingFailed func()
	// adds: once one of its kind was refused because the run is being paused or its history is full, the pipe refuses the
	// others by itself, in the server's words.
	adds addition
}

// addition is what an op adds to the run.
type addition int

const (
	// addsNothing that could be refused for all: a result has its place in the history once its start was sent.
	addsNothing addition = iota
	addsStart
	addsTimer
	addsSignal
	// addsResult is of an attempt without a start.
	addsResult
)

// outgoingOp is an op from its submission to its result.
type outgoingOp struct {
	lease        *pb.Lease
	changes      []*pb.Change
	bytes        int
	handlers     opHandlers
	opID         int64
	afterRefused int64
	sent         bool
}

// newOutgoingOp: bytes is what its payloads and texts take in a frame.
func newOutgoingOp(lease *pb.Lease, changes []*pb.Change, bytes int, handlers opHandlers) *outgoingOp {
	bytes += len(lease.GetRunId()) + opBytes
	return &outgoingOp{lease: lease, changes: changes, bytes: bytes, handlers: handlers}
}

func (o *outgoingOp) leave() *pb.Op {
	o.sent = true
	return &pb.Op{OpId: o.opID, Lease: o.lease, Changes: o.changes, AfterRefused: o.afterRefused}
}
