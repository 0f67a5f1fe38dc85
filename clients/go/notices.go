package everstep

import pb "github.com/everstep/everstep/clients/go/everstepv1"

// react does to a run what a notice says: it settles the wait that it is for, or is remembered for the wait that will
// come.
func (r *leaseRun) react(notice *pb.Notice) {
	switch what := notice.GetWhat().(type) {
	case *pb.Notice_Cancel:
		r.applyCancel(&CancelledError{RunID: r.runID, Why: what.Cancel.GetReason()})
	case *pb.Notice_Signal:
		r.waits.signalCame(what.Signal)
	case *pb.Notice_TimerFired:
		r.timerFired(what.TimerFired)
	case *pb.Notice_RetryDue:
		if known := r.journal.Find(what.RetryDue).GetRetrying(); known != nil {
			known.DelayMs = 0
		}
		r.waits.retryDue(what.RetryDue)
	case *pb.Notice_Pause:
		r.giveBack()
	}
}

func (r *leaseRun) timerFired(stepKey string) {
	if r.waits.timerFired(stepKey) {
		return
	}
	known := r.journal.Find(stepKey).GetTimer()
	if known == nil {
		return
	}
	fired := &pb.JournalTimerFired{SignalName: known.GetSignalName()}
	r.journal.Record(&pb.JournalEntry{StepKey: stepKey, Entry: &pb.JournalEntry_TimerFired{TimerFired: fired}})
}
