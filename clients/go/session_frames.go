package everstep

import (
	"context"
	"fmt"
	"log/slog"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// receive takes one frame of the server. Frames of a later version are ignored.
func (s *session) receive(frame *pb.ServerFrame) {
	s.pulse.heard()
	switch of := frame.GetFrame().(type) {
	case *pb.ServerFrame_OpResults:
		s.leases.settle(of.OpResults)
	case *pb.ServerFrame_Assign:
		s.assigned(of.Assign)
	case *pb.ServerFrame_JournalChunk:
		s.leases.chunk(of.JournalChunk)
	case *pb.ServerFrame_Notices:
		s.leases.notice(of.Notices.GetNotices())
	case *pb.ServerFrame_BeatAck:
		s.leases.beatAcked(of.BeatAck.GetBeatSeq(), of.BeatAck.GetLost())
	case *pb.ServerFrame_Revoke:
		s.leases.lost(of.Revoke.GetLeases())
	case *pb.ServerFrame_Welcome:
		s.welcome(of.Welcome)
	case *pb.ServerFrame_DrainAck:
		s.drainAcked = true
		s.checkDrained()
	case *pb.ServerFrame_GoAway:
		s.toldToGo(of.GoAway)
	case *pb.ServerFrame_Ping:
		s.stream.send(pongFrame(of.Ping.GetNonce()))
	case *pb.ServerFrame_FrameRefused:
		s.frameRefused(of.FrameRefused)
	}
}

func (s *session) welcome(welcome *pb.Welcome) {
	s.welcomed = true
	s.reconnect.succeeded()
	s.lastError = ""
	s.resume = &pb.Resume{SessionId: welcome.GetSessionId(), ResumeToken: welcome.GetResumeToken()}
	settings := welcome.GetSettings()
	if settings.GetPayloadBytesMax() > 0 {
		s.payloadMax.Store(settings.GetPayloadBytesMax())
	}
	if settings.GetFrameOpsMax() > 0 {
		s.sender.frameOpsMax = int(settings.GetFrameOpsMax())
	}
	s.leases.trust = watchdogOf(settings)
	s.sender.outbox.clear()
	s.sender.attach(s.stream)
	s.leases.judge(welcome.GetVerdicts())
	s.pulse.welcomed(settings)
	if s.draining {
		s.stream.send(drainFrame())
	} else if int32(s.capacity) != s.helloCapacity {
		s.stream.send(capacityFrame(s.capacity))
	}
}

func (s *session) assigned(assign *pb.Assign) {
	for _, assignment := range assign.GetAssignments() {
		lease := assignment.GetLease()
		if lease == nil {
			continue
		}
		body := s.options.bodies[assignment.GetWorkflow()]
		switch {
		case body == nil:
			s.log(slog.LevelError, "assigned a workflow that is not here", "workflow", assignment.GetWorkflow())
			s.sender.release(lease, unknownWorkflowRetry)
		case s.draining:
			s.sender.release(lease, 0)
		default:
			s.sender.accept(lease)
			s.leases.add(assignment, body)
		}
	}
}

func (s *session) toldToGo(goAway *pb.GoAway) {
	s.reconnect.told(goAway)
	s.log(slog.LevelInfo, "the server ends the stream", "reason", goAwayName(goAway.GetReason()), "message", goAway.GetMessage())
}

func (s *session) frameRefused(refused *pb.FrameRefused) {
	err := fmt.Errorf("a frame was refused: %s: %s (%s)",
		reasonName(refused.GetReason()), refused.GetMessage(), refused.GetField())
	s.log(slog.LevelError, err.Error())
	slow := false
	switch refused.GetReason() {
	case pb.ErrorReason_ERROR_REASON_SESSION_UNKNOWN:
		s.resume = nil
	case pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED, pb.ErrorReason_ERROR_REASON_VERSION_UNSUPPORTED,
		pb.ErrorReason_ERROR_REASON_INVALID, pb.ErrorReason_ERROR_REASON_PROTOCOL:
		slow = true // waiting does not heal these
	}
	s.streamIsOver(err, slow)
}

func (s *session) log(level slog.Level, message string, facts ...any) {
	s.options.log.Log(context.Background(), level, "everstep: "+message, facts...)
}
