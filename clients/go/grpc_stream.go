package everstep

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// grpcTransport opens every stream on a connection of its own. A session has one stream for hours, so a connection for
// each costs nothing, and one that is half dead behind a proxy cannot spoil the next stream.
type grpcTransport struct {
	endpoint endpoint
	loop     *loop
}

func (t *grpcTransport) permanent(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument, codes.FailedPrecondition:
		return true
	default:
		return false
	}
}

func (t *grpcTransport) open(events streamEvents) frameStream {
	ctx, cancel := context.WithCancel(context.Background())
	stream := &grpcStream{events: events, cancel: cancel, news: make(chan struct{}, 1)}
	t.loop.spawn(func() {
		err := stream.carry(ctx, t.endpoint, t.loop)
		aborted := ctx.Err() != nil
		cancel()
		if !aborted {
			events.ended(err)
		}
	})
	return stream
}

// grpcStream is a queue of frames in front of a gRPC stream. The loop puts frames in, a goroutine sends them, another
// one receives.
type grpcStream struct {
	events streamEvents
	cancel context.CancelFunc
	// news tells the sending goroutine that there is something to do.
	news chan struct{}

	mutex    sync.Mutex
	waiting  []*pb.WorkerFrame
	sending  int
	finished bool
	// wanted: the loop waits for the queue to be empty.
	wanted bool
}

func (s *grpcStream) send(frame *pb.WorkerFrame) {
	s.mutex.Lock()
	if !s.finished {
		s.waiting = append(s.waiting, frame)
	}
	s.mutex.Unlock()
	s.tell()
}

func (s *grpcStream) busy() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.wanted = len(s.waiting)+s.sending >= framesAheadMax
	return s.wanted
}

func (s *grpcStream) finish() {
	s.mutex.Lock()
	s.finished = true
	s.mutex.Unlock()
	s.tell()
}

func (s *grpcStream) abort() { s.cancel() }

func (s *grpcStream) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// take returns all frames that wait; last says that nothing follows them.
func (s *grpcStream) take() (frames []*pb.WorkerFrame, last bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	frames = s.waiting
	s.waiting = nil
	s.sending = len(frames)
	return frames, s.finished
}

// sent follows a frame that the transport took; true when the loop waits for room and there is some.
func (s *grpcStream) sent() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.sending--
	if !s.wanted || s.sending+len(s.waiting) > 0 {
		return false
	}
	s.wanted = false
	return true
}

// carry runs the stream to its end.
func (s *grpcStream) carry(ctx context.Context, to endpoint, l *loop) error {
	connection, err := to.dial()
	if err != nil {
		return err
	}
	defer connection.Close()
	stream, err := pb.NewWorkerServiceClient(connection).Session(to.authorize(ctx))
	if err != nil {
		return err
	}
	sendContext, endSending := context.WithCancel(ctx)
	sendingOver := make(chan struct{})
	l.spawn(func() {
		defer close(sendingOver)
		s.sendAll(sendContext, stream)
	})
	for {
		response, err := stream.Recv()
		if err != nil {
			endSending()
			<-sendingOver
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if response.GetFrame() != nil {
			s.events.received(response.GetFrame())
		}
	}
}

func (s *grpcStream) sendAll(ctx context.Context, stream pb.WorkerService_SessionClient) {
	for {
		select {
		case <-s.news:
		case <-ctx.Done():
			return
		}
		frames, last := s.take()
		for _, frame := range frames {
			if stream.Send(&pb.SessionRequest{Frame: frame}) != nil {
				return // the receiving side gets the reason
			}
			if s.sent() {
				s.events.writable()
			}
		}
		if last {
			_ = stream.CloseSend()
			return
		}
	}
}

func (e endpoint) authorize(ctx context.Context) context.Context {
	if e.apiKey == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+e.apiKey)
}
