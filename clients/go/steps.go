package everstep

import (
	"context"
	"fmt"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
	"github.com/everstep/everstep/clients/go/internal/replay"
)

// Step runs fn until it has a result and records the result: after a crash the function is not called again. It returns
// a *StepFailedError when the attempts are exhausted, and a *CancelledError when the run was cancelled meanwhile.
//
// fn runs on a goroutine of its own. Its context ends at the step's timeout, at a cancel and when the lease is lost;
// AttemptOf tells it about its attempt. Steps may be called after a cancel, to clean up; those do not see the cancel.
//
// The key names the result in the history. A repeated key becomes "key#2", "key#3" in call order, so keys may not end
// in "#" and digits.
func Step[T any](ctx Context, key string, fn func(context.Context) (T, error), options ...StepOptions) (T, error) {
	f, b, begin := prepareStep(ctx, key, fn, options)
	if err := b.wait(func() { begin(); f.inner.await(b) }); err != nil {
		var none T
		return none, err
	}
	return f.value()
}

// Do is Step for a function without a result.
func Do(ctx Context, key string, fn func(context.Context) error, options ...StepOptions) error {
	_, err := Step(ctx, key, func(ctx context.Context) (any, error) { return nil, fn(ctx) }, options...)
	return err
}

// StepAsync begins a step and returns at once; Future.Get waits for its result.
func StepAsync[T any](ctx Context, key string, fn func(context.Context) (T, error), options ...StepOptions) *Future[T] {
	f, b, begin := prepareStep(ctx, key, fn, options)
	if err := b.tell(begin); err != nil {
		f.inner = failedFuture(b.run, err)
	}
	return f
}

func prepareStep[T any](ctx Context, key string, fn func(context.Context) (T, error), options []StepOptions) (*Future[T], *branch, func()) {
	b := ctx.currentBranch()
	run := b.run
	f := &Future[T]{inner: &future{run: run}, read: func(payload *pb.Payload) (T, error) {
		var value T
		err := decodePayload(run.codec(), payload, &value)
		return value, err
	}}
	call := func(ctx context.Context, stepKey string) (*pb.Payload, error) {
		value, err := fn(ctx)
		if err != nil {
			return nil, err
		}
		return encodeWithin(run.codec(), value, "the result of step "+quote(stepKey), run.session.payloadBytesMax())
	}
	chosen := chooseStep(run, key, options)
	return f, b, func() {
		run.claim(key, chosen.invalid, f.inner, func(stepKey string) { run.beginStep(stepKey, call, chosen, f.inner) })
	}
}

// claim gives this use of a step key its name and begins the call; what is wrong with it settles the future.
func (r *leaseRun) claim(key string, invalid error, f *future, begin func(stepKey string)) {
	if r.ended {
		return
	}
	if err := checkKey("step key", key); err != nil {
		f.reject(err)
		return
	}
	stepKey, ok := r.keys.Claim(key)
	if !ok {
		f.reject(&AmbiguousStepKeyError{StepKey: key})
		return
	}
	f.base = key
	if invalid != nil {
		f.reject(invalid)
		return
	}
	begin(stepKey)
}

func (r *leaseRun) beginStep(stepKey string, fn stepFunction, options chosenStep, f *future) {
	entry := r.journal.Find(stepKey)
	begunBefore := entry != nil
	newCall := func() *stepCall { return newStepCall(r, stepKey, fn, options, f, begunBefore) }
	if entry == nil {
		r.whenLive(func() { newCall().begin(1) })
		return
	}
	switch recorded := entry.GetEntry().(type) {
	case *pb.JournalEntry_Completed:
		r.replay(stepKey, func() { f.resolve(recorded.Completed.GetOutput()) })
	case *pb.JournalEntry_Failed:
		r.replay(stepKey, func() {
			r.failedSteps[stepKey] = true
			f.reject(stepFailed(stepKey, recorded.Failed.GetAttempt(), recorded.Failed.GetFailure()))
		})
	case *pb.JournalEntry_Retrying:
		next, delay := recorded.Retrying.GetAttempt()+1, duration(recorded.Retrying.GetDelayMs())
		r.whenLive(func() { newCall().backOff(next, delay) })
	case *pb.JournalEntry_Started:
		r.whenLive(func() { newCall().begin(recorded.Started.GetAttempt()) })
	default:
		r.mismatched(stepKey, replay.Step, entry)
	}
}

// replay hands a recorded result over when it is its turn.
func (r *leaseRun) replay(stepKey string, hand func()) {
	r.journal.Deliver(stepKey, func() {
		if r.ended {
			return
		}
		hand()
		r.replayed()
	})
}

func stepFailed(stepKey string, attempts int32, failure *pb.Failure) *StepFailedError {
	return &StepFailedError{StepKey: stepKey, Attempts: int(attempts), Failure: readFailure(failure)}
}

// checkKey refuses what cannot be a step key.
func checkKey(what, key string) error {
	switch {
	case key == "":
		return &InvalidArgumentError{message: fmt.Sprintf("a %s is a text that is not empty", what)}
	case len(key) > keyBytesMax:
		return &InvalidArgumentError{message: fmt.Sprintf("a %s has at most %d bytes", what, keyBytesMax)}
	case replay.HasCounter(key):
		return &InvalidArgumentError{message: fmt.Sprintf(
			"%s %q ends in \"#\" and digits, which the SDK keeps for repeated keys", what, key)}
	default:
		return nil
	}
}
