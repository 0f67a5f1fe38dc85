package everstep

import (
	"fmt"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// suspension gives up the lease to wait. While a suspend is on its way nobody knows whether the run goes on here, so
// whatever would make it go on (a notice, a due retry, a call of the code) is kept until the answer is there.
type suspension struct {
	run *leaseRun
	// undecided also before the start, while parts of the journal are still to come.
	undecided      bool
	later          []func()
	awaitingNotice *timer
}

// blocked is true while it makes no sense to try: the answer is on its way, or the notice that it announced.
func (s *suspension) blocked() bool {
	return s.undecided || s.awaitingNotice.pending()
}

func (s *suspension) whenLive(action func()) {
	if s.undecided {
		s.later = append(s.later, action)
		return
	}
	action()
}

func (s *suspension) goOn() {
	s.undecided = false
	waiting := s.later
	s.later = nil
	for _, action := range waiting {
		s.run.whenLive(action)
	}
}

func (s *suspension) noticed() {
	s.awaitingNotice.stop()
	s.awaitingNotice = nil
}

func (s *suspension) begin() {
	run := s.run
	s.undecided = true
	suspend := suspendRunChange(run.waits.awaits(), run.noticesSeen)
	run.pipe.submit([]*pb.Change{suspend}, 0, opHandlers{
		applied: func(*pb.OpApplied) { run.end(true) },
		precedingFailed: func() {
			s.goOn()
			run.planIdleCheck()
		},
		refused: s.refused,
	})
}

func (s *suspension) refused(refusal *pb.OpRefusal) {
	run := s.run
	noticed := len(s.later) > 0
	s.goOn()
	switch refusal.GetReason() {
	case pb.ErrorReason_ERROR_REASON_NOTICES_PENDING:
		if noticed {
			return
		}
		overdue := max(noticesOverdue, duration(refusal.GetRetryAfterMs()))
		s.awaitingNotice = run.session.loop.after(overdue, func() {
			s.awaitingNotice = nil
			run.abandon("a suspend was refused NOTICES_PENDING and no notice came")
		})
	case pb.ErrorReason_ERROR_REASON_RUN_PAUSED:
		run.giveBack()
	default:
		run.abandon(fmt.Sprintf("suspend was refused: %s", refusal.GetMessage()))
	}
}

func (s *suspension) drop() {
	s.noticed()
	s.later = nil
}
