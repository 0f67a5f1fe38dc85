package everstep

import (
	"context"
	"errors"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// attempt is one attempt of a step: calls the function, bounds it in time, and hands its outcome to the step exactly
// once.
type attempt struct {
	step    *stepCall
	number  int32
	running bool
	// startSent: a start of it went out, so its outcome has a place in the history.
	startSent bool
	startedAt time.Time
	timeout   *timer
	// end ends the context of the function; nil before it is called.
	end context.CancelCauseFunc
}

func newAttempt(call *stepCall, number int32) *attempt {
	call.run.stepsRunning++
	return &attempt{step: call, number: number, running: true, startedAt: time.Now()}
}

// outcomeAdds is what its outcome adds to the run.
func (a *attempt) outcomeAdds() addition {
	if a.startSent {
		return addsNothing
	}
	return addsResult
}

func (a *attempt) elapsed() time.Duration { return time.Since(a.startedAt) }

// call runs the function now: its start is durable, or need not be.
func (a *attempt) call() {
	step := a.step
	run := step.run
	a.startedAt = time.Now()
	ctx := a.newContext()
	if step.options.Timeout > 0 {
		run.timed[a] = true
		a.timeout = run.session.loop.after(step.options.Timeout, func() { a.timedOut() })
	}
	loop := run.session.loop
	run.session.functionsRunning.Add(1)
	loop.spawn(func() {
		defer run.session.functionsRunning.Add(-1)
		var output *pb.Payload
		protect(func() (err error) {
			output, err = step.fn(ctx, step.stepKey)
			return err
		}, func(err error) {
			if err == nil {
				loop.post(func() { a.returned(output) })
				return
			}
			err = timeoutOf(ctx, err)
			failure, stopped := newFailure(err), carriesCancel(err)
			loop.post(func() { a.returnedError(failure, stopped) })
		})
	})
	if !step.options.AtMostOnce && !step.recordsInput() {
		run.session.sender.announce(a)
	}
}

func (a *attempt) newContext() context.Context {
	step := a.step
	run := step.run
	ctx := run.aborts.cancelContext
	if step.calledAfterCancel {
		ctx = run.aborts.leaseContext
	}
	ctx = context.WithValue(ctx, attemptKey{}, StepAttempt{
		RunID:          run.runID,
		StepKey:        step.stepKey,
		Attempt:        int(a.number),
		FencingToken:   run.fencingToken,
		IdempotencyKey: run.runID + "/" + step.stepKey,
	})
	ctx, end := context.WithCancelCause(ctx)
	if step.options.Timeout <= 0 {
		a.end = end
		return ctx
	}
	ctx, endTimeout := context.WithTimeoutCause(ctx, step.options.Timeout, a.timeoutError())
	a.end = func(cause error) {
		end(cause)
		endTimeout()
	}
	return ctx
}

func (a *attempt) timeoutError() *StepTimeoutError {
	return &StepTimeoutError{StepKey: a.step.stepKey, Timeout: a.step.options.Timeout}
}

// timeoutOf: a function that stops at its deadline says so in words of its own; it is a timeout all the same.
func timeoutOf(ctx context.Context, err error) error {
	var timeout *StepTimeoutError
	if errors.Is(err, ctx.Err()) && errors.As(context.Cause(ctx), &timeout) {
		return timeout
	}
	return err
}

func (a *attempt) timedOut() {
	late := a.timeoutError()
	a.end(late)
	if a.ends() {
		a.step.failed(a, newFailure(late))
	}
}

// announceStart: the attempt was not over at once, so its start is worth a record.
func (a *attempt) announceStart() {
	if a.running && !a.step.run.ended {
		a.step.submitStart(a, nil)
	}
}

// stop ends the attempt without an outcome.
func (a *attempt) stop() {
	if !a.running {
		return
	}
	a.running = false
	a.step.run.stepsRunning--
	a.drop()
}

// drop: the lease is gone or the run has ended. The function may still run, nobody listens any more.
func (a *attempt) drop() {
	a.timeout.stop()
	delete(a.step.run.timed, a)
	if a.end != nil {
		a.end(nil)
	}
}

// ends is false for an outcome that comes too late: after the timeout, or after the run has ended.
func (a *attempt) ends() bool {
	if !a.running || a.step.run.ended {
		return false
	}
	a.stop()
	return true
}

func (a *attempt) returned(output *pb.Payload) {
	if a.ends() {
		a.step.succeeded(a, output)
	}
}

func (a *attempt) returnedError(failure *pb.Failure, stopped bool) {
	if a.ends() {
		a.step.returnedError(a, failure, stopped)
	}
}
