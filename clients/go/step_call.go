package everstep

import (
	"context"
	"fmt"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// stepFunction is a step function over payloads. It runs on a goroutine of its own.
type stepFunction func(ctx context.Context, stepKey string) (*pb.Payload, error)

// stepCall is one use of Step: its attempts until it has a durable result.
//
// An attempt runs (counted in run.stepsRunning), then its outcome waits to be durable (run.outcomesPending), then
// either the workflow gets it or the step backs off (a wait of kind retry) and the next attempt runs.
type stepCall struct {
	run     *leaseRun
	stepKey string
	fn      stepFunction
	options chosenStep
	future  *future
	// calledAfterCancel: it cleans up, so the cancel neither ends its context nor its retries.
	calledAfterCancel bool
	nextAttempt       int32
}

// newStepCall: begunBefore says that an earlier lease had begun it, so it is no cleanup.
func newStepCall(run *leaseRun, stepKey string, fn stepFunction, options chosenStep, f *future, begunBefore bool) *stepCall {
	return &stepCall{
		run: run, stepKey: stepKey, fn: fn, options: options, future: f,
		calledAfterCancel: !begunBefore && run.cancelled != nil,
	}
}

func (c *stepCall) begin(number int32) {
	if !c.run.mayStartStep() {
		return // paused or draining: the lease is given back, a replay comes here again
	}
	a := newAttempt(c, number)
	if c.options.AtMostOnce {
		c.submitStart(a, a.call)
		return
	}
	if c.recordsInput() {
		c.submitStart(a, nil)
	}
	if a.running {
		a.call()
	}
}

func (c *stepCall) recordsInput() bool {
	return c.options.inputPayload != nil || c.options.inputFailure != nil
}

// submitStart announces an attempt, which may run already.
func (c *stepCall) submitStart(a *attempt, durable func()) {
	if c.options.inputFailure != nil {
		a.stop()
		c.failed(a, c.options.inputFailure)
		return
	}
	handlers := opHandlers{adds: addsStart, refused: func(refusal *pb.OpRefusal) {
		if called := durable == nil; called && refusal.GetReason() == pb.ErrorReason_ERROR_REASON_RUN_PAUSED {
			// The pause lets a function that runs finish, and its result needs no start before it.
			c.run.giveBack()
			return
		}
		if !a.running {
			return // its outcome went out behind the start and is answered for itself
		}
		a.stop()
		c.refused(refusal)
	}}
	if durable != nil {
		handlers.applied = func(*pb.OpApplied) { durable() }
	}
	a.startSent = true
	start := c.startOf(a.number)
	c.run.submit([]*pb.Change{startStepChange(start)}, payloadBytes(start.GetInput()), handlers)
}

func (c *stepCall) startOf(number int32) *pb.StepStart {
	start := &pb.StepStart{
		StepKey: c.stepKey, Attempt: number, AtMostOnce: c.options.AtMostOnce, Input: c.options.inputPayload,
	}
	if c.options.Timeout > 0 {
		start.TimeoutMs = milliseconds(c.options.Timeout) + milliseconds(serverTimeoutSlack)
		start.RetryPolicy = wirePolicy(c.options.Retry, c.options.AtMostOnce)
	}
	return start
}

func (c *stepCall) succeeded(a *attempt, output *pb.Payload) {
	run := c.run
	completion := &pb.StepCompletion{
		StepKey: c.stepKey, Attempt: a.number, Output: output, ElapsedMs: a.elapsed().Milliseconds(),
	}
	run.outcomesPending++
	run.submit([]*pb.Change{completeStepChange(completion)}, payloadBytes(output), opHandlers{
		adds: a.outcomeAdds(),
		applied: func(applied *pb.OpApplied) {
			run.outcomesPending--
			if stored := storedOutput(applied); stored != nil {
				output = stored
			}
			// The workflow gets what a replay would give it, never the original value.
			c.future.resolve(output)
		},
		refused: func(refusal *pb.OpRefusal) {
			run.outcomesPending--
			if refusal.GetReason() == pb.ErrorReason_ERROR_REASON_PAYLOAD_TOO_LARGE {
				c.failed(a, newFailure(&PayloadTooLargeError{message: refusal.GetMessage()}))
				return
			}
			c.refused(refusal)
		},
	})
}

// returnedError: stopped tells that the error is one of a context that has ended.
func (c *stepCall) returnedError(a *attempt, failure *pb.Failure, stopped bool) {
	cancelled := c.run.cancelled
	if cancelled != nil && stopped && !c.calledAfterCancel && !c.options.AtMostOnce {
		c.future.reject(cancelled) // it stopped because it was asked to: that is no failed attempt
		c.run.planIdleCheck()
		return
	}
	c.failed(a, failure)
}

func (c *stepCall) failed(a *attempt, failure *pb.Failure) {
	run := c.run
	failed := &pb.StepFailure{
		StepKey: c.stepKey, Attempt: a.number, Failure: failure, ElapsedMs: a.elapsed().Milliseconds(),
		RetryPolicy: wirePolicy(c.options.Retry, c.options.AtMostOnce),
	}
	run.outcomesPending++
	run.submit([]*pb.Change{failStepChange(failed)}, failureBytes(failure), opHandlers{
		adds: a.outcomeAdds(),
		applied: func(applied *pb.OpApplied) {
			run.outcomesPending--
			c.afterFailure(applied, failure)
		},
		refused: func(refusal *pb.OpRefusal) {
			run.outcomesPending--
			c.refused(refusal)
		},
	})
}

func (c *stepCall) afterFailure(applied *pb.OpApplied, failure *pb.Failure) {
	if len(applied.GetResults()) > 0 {
		switch outcome := applied.GetResults()[0].GetOutcome().(type) {
		case *pb.ChangeResult_Retry:
			c.backOff(outcome.Retry.GetNextAttempt(), duration(outcome.Retry.GetDelayMs()))
			return
		case *pb.ChangeResult_Exhausted:
			c.run.failedSteps[c.stepKey] = true
			c.future.reject(stepFailed(c.stepKey, outcome.Exhausted.GetAttempt(), failure))
			return
		case *pb.ChangeResult_StoredOutput:
			c.future.resolve(outcome.StoredOutput)
			return
		}
	}
	c.run.abandon(fmt.Sprintf("the failure of step %s was answered without a verdict", c.stepKey))
}

func (c *stepCall) refused(refusal *pb.OpRefusal) {
	switch refusal.GetReason() {
	case pb.ErrorReason_ERROR_REASON_STEP_COMPLETED:
		c.run.abandon(fmt.Sprintf("step %s has another result already", c.stepKey))
	case pb.ErrorReason_ERROR_REASON_STEP_FAILED:
		c.run.abandon(fmt.Sprintf("step %s has failed already", c.stepKey))
	default:
		c.run.refuseCall(refusal, c.future, c.stepKey, "step")
	}
}

func (c *stepCall) backOff(next int32, delay time.Duration) {
	c.nextAttempt = next
	c.run.waits.backOff(c, delay)
}

// due: the back-off is over.
func (c *stepCall) due() { c.begin(c.nextAttempt) }

func storedOutput(applied *pb.OpApplied) *pb.Payload {
	if len(applied.GetResults()) == 0 {
		return nil
	}
	return applied.GetResults()[0].GetStoredOutput()
}

func failureBytes(failure *pb.Failure) int {
	bytes := 0
	for at := failure; at != nil; at = at.GetCause() {
		bytes += len(at.GetMessage()) + len(at.GetStack()) + payloadBytes(at.GetDetails())
	}
	return bytes
}
