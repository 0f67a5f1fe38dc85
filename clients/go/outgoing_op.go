package everstep

import pb "github.com/everstep/everstep/clients/go/everstepv1"

// opHandlers hear how an op went. Nil ones do not want to know.
type opHandlers struct {
	applied func(*pb.OpApplied)
	// refused for good: the pipe goes on without it.
	refused func(*pb.OpRefusal)
	// precedingFailed: an earlier op was refused. Without this the op is sent again as it is.
	precedingFailed func()
	// startsStep: once the run is being paused the pipe refuses it by itself, in the server's words.
	startsStep bool
}

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

func (o *outgoingOp) leave() *pb.Op {
	o.sent = true
	return &pb.Op{OpId: o.opID, Lease: o.lease, Changes: o.changes, AfterRefused: o.afterRefused}
}
