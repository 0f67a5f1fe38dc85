package everstep

import pb "github.com/everstep/everstep/clients/go/everstepv1"

// refuseCall: a durable call was refused for good. What only the code or the limits of the run explain ends the run;
// the rest goes to the caller.
func (r *leaseRun) refuseCall(refusal *pb.OpRefusal, f *future, key, asked string) {
	switch refusal.GetReason() {
	case pb.ErrorReason_ERROR_REASON_RUN_PAUSED:
		r.giveBack()
	case pb.ErrorReason_ERROR_REASON_HISTORY_LIMIT:
		r.fail(newEnding(&HistoryLimitError{message: refusal.GetMessage()}))
	case pb.ErrorReason_ERROR_REASON_STEP_KIND_MISMATCH:
		r.fail(newEnding(&NonDeterminismError{StepKey: key, Asked: asked, Found: "something else"}))
	case pb.ErrorReason_ERROR_REASON_PAYLOAD_TOO_LARGE:
		f.reject(&PayloadTooLargeError{message: refusal.GetMessage()})
	default:
		f.reject(&OpRefusedError{reason: reasonName(refusal.GetReason()), message: refusal.GetMessage(), Field: refusal.GetField()})
	}
}
