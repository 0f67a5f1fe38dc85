package everstep

import pb "github.com/everstep/everstep/clients/go/everstepv1"

func startStepChange(start *pb.StepStart) *pb.Change {
	return &pb.Change{Change: &pb.Change_StartStep{StartStep: start}}
}

func completeStepChange(completion *pb.StepCompletion) *pb.Change {
	return &pb.Change{Change: &pb.Change_CompleteStep{CompleteStep: completion}}
}

func failStepChange(failure *pb.StepFailure) *pb.Change {
	return &pb.Change{Change: &pb.Change_FailStep{FailStep: failure}}
}

func setTimerChange(setting *pb.TimerSetting) *pb.Change {
	return &pb.Change{Change: &pb.Change_SetTimer{SetTimer: setting}}
}

func consumeSignalChange(stepKey, name string) *pb.Change {
	consumption := &pb.SignalConsumption{StepKey: stepKey, Name: name}
	return &pb.Change{Change: &pb.Change_ConsumeSignal{ConsumeSignal: consumption}}
}

func suspendRunChange(awaits []*pb.Await, noticesSeen int64) *pb.Change {
	suspension := &pb.RunSuspension{Awaits: awaits, NoticesSeen: noticesSeen}
	return &pb.Change{Change: &pb.Change_SuspendRun{SuspendRun: suspension}}
}

func completeRunChange(output *pb.Payload) *pb.Change {
	return &pb.Change{Change: &pb.Change_CompleteRun{CompleteRun: &pb.RunCompletion{Output: output}}}
}

func failRunChange(failure *pb.Failure, failedSteps []string) *pb.Change {
	end := &pb.RunFailure{Failure: failure, FailedSteps: failedSteps}
	return &pb.Change{Change: &pb.Change_FailRun{FailRun: end}}
}

func cancelledRunChange() *pb.Change {
	return &pb.Change{Change: &pb.Change_CancelledRun{CancelledRun: &pb.RunCancellation{}}}
}

func helloFrame(hello *pb.Hello) *pb.WorkerFrame {
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Hello{Hello: hello}}
}

func capacityFrame(capacity int) *pb.WorkerFrame {
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Capacity{Capacity: &pb.Capacity{Capacity: int32(capacity)}}}
}

func acceptFrame(leases []*pb.Lease) *pb.WorkerFrame {
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Accept{Accept: &pb.Accept{Leases: leases}}}
}

func releaseFrame(leases []*pb.Lease, retryAfterMs int64) *pb.WorkerFrame {
	release := &pb.Release{Leases: leases, RetryAfterMs: retryAfterMs}
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Release{Release: release}}
}

func opsFrame(ops []*pb.Op) *pb.WorkerFrame {
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Ops{Ops: &pb.Ops{Ops: ops}}}
}

func beatFrame(beatSeq int64, held []*pb.BeatLease) *pb.WorkerFrame {
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Beat{Beat: &pb.Beat{BeatSeq: beatSeq, Held: held}}}
}

func drainFrame() *pb.WorkerFrame {
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Drain{Drain: &pb.Drain{}}}
}

func goodbyeFrame() *pb.WorkerFrame {
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Goodbye{Goodbye: &pb.Goodbye{}}}
}

func pongFrame(nonce int64) *pb.WorkerFrame {
	return &pb.WorkerFrame{Frame: &pb.WorkerFrame_Pong{Pong: &pb.Pong{Nonce: nonce}}}
}
