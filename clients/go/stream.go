package everstep

import pb "github.com/everstep/everstep/clients/go/everstepv1"

// frameStream is one stream of a session. It dies with its connection; the session opens another. None of its methods
// blocks.
type frameStream interface {
	send(frame *pb.WorkerFrame)
	// busy tells whether so many frames wait for the transport that ops had better gather; if so, writable is called
	// when none waits any more.
	busy() bool
	// finish half-closes: the server ends its side when it has read everything.
	finish()
	// abort ends both directions now; no event follows.
	abort()
}

// streamEvents are called from the stream's goroutines.
type streamEvents interface {
	received(frame *pb.ServerFrame)
	writable()
	// ended is called once, with the error if there was one. Nothing follows.
	ended(err error)
}

// transport opens streams. Everything that a session gets from outside comes from here, so that a test can put a
// scripted server in its place.
type transport interface {
	open(events streamEvents) frameStream
	// permanent is true for an error that waiting does not heal, such as a wrong key.
	permanent(err error) bool
}
