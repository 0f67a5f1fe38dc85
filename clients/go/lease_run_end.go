package everstep

import (
	"fmt"
	"slices"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
	"github.com/everstep/everstep/clients/go/internal/replay"
)

// complete ends the run with what the workflow returned.
func (r *leaseRun) complete(output *pb.Payload) {
	if !r.ended && !r.finishing {
		r.finish(completeRunChange(output), payloadBytes(output))
	}
}

// fail ends the run with an error of the workflow.
func (r *leaseRun) fail(end ending) {
	if r.ended || r.finishing {
		return
	}
	if r.cancelled != nil && end.cancelled {
		r.finish(cancelledRunChange(), 0)
		return
	}
	steps := slices.DeleteFunc(end.failedSteps, func(key string) bool { return !r.failedSteps[key] })
	steps = steps[:min(len(steps), failedStepsMax)]
	r.finish(failRunChange(end.failure, steps), failureBytes(end.failure))
}

func (r *leaseRun) finish(change *pb.Change, bytes int) {
	r.finishing = true
	r.pipe.submit([]*pb.Change{change}, bytes, opHandlers{
		applied: func(*pb.OpApplied) { r.end(true) },
		refused: func(refusal *pb.OpRefusal) {
			r.finishing = false
			if refusal.GetReason() != pb.ErrorReason_ERROR_REASON_PAYLOAD_TOO_LARGE {
				r.abandon(fmt.Sprintf("its end was refused: %s", refusal.GetMessage()))
				return
			}
			r.fail(newEnding(&PayloadTooLargeError{message: refusal.GetMessage()}))
		},
	})
}

// mismatched: the code asks for something else than the history holds. No error handling may go on from here, so the
// call never returns.
func (r *leaseRun) mismatched(stepKey string, asked replay.Kind, found *pb.JournalEntry) {
	end := newEnding(&NonDeterminismError{StepKey: stepKey, Asked: string(asked), Found: string(replay.KindOf(found))})
	r.whenLive(func() { r.fail(end) })
}

// abandon follows something that only a bug or a lost message explains: a replay sorts it out.
func (r *leaseRun) abandon(why string) {
	if r.ended {
		return
	}
	r.session.options.log.Error("everstep: a run is given back", "run_id", r.runID, "why", why)
	r.aborts.lose(&LeaseLostError{RunID: r.runID, Why: why})
	r.release(abandonedRetry)
}

// stop: the worker stops and cannot wait for the steps that still run.
func (r *leaseRun) stop() {
	if r.ended {
		return
	}
	r.aborts.lose(&LeaseLostError{RunID: r.runID, Why: "the worker stops"})
	r.release(0)
}

func (r *leaseRun) release(retryAfter time.Duration) {
	if r.ended {
		return
	}
	r.session.sender.release(r.assignment.GetLease(), retryAfter)
	r.end(true)
}

// lost: the lease is gone. Handlers stop, nothing more is sent.
func (r *leaseRun) lost(why string) {
	if r.ended {
		return
	}
	r.aborts.lose(&LeaseLostError{RunID: r.runID, Why: why})
	r.end(false)
}

// end lets go of everything. With flush the lease ended as it should, and what waits for the stream still leaves.
func (r *leaseRun) end(flush bool) {
	if r.ended {
		return
	}
	r.ended = true
	r.pipe.close(flush)
	r.waits.drop()
	r.suspension.drop()
	r.aborts.lose(&LeaseLostError{RunID: r.runID, Why: "it has ended"})
	for a := range r.timed {
		a.drop()
	}
	r.turns = turns{}
	close(r.over)
	r.session.runEnded(r)
}
