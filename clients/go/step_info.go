package everstep

import "context"

// Attempt is what a step function may want to know about itself.
type Attempt struct {
	RunID   string
	StepKey string
	// Number counts the attempts of the step, from 1.
	Number int
	// FencingToken grows with every lease of the run: hand it to systems that can refuse writes of an older holder.
	FencingToken int64
	// IdempotencyKey is the same for all attempts and all workers: the key for idempotent calls.
	IdempotencyKey string
}

type attemptKey struct{}

// AttemptOf returns the attempt of the step function that got this context; the zero value outside of one.
func AttemptOf(ctx context.Context) Attempt {
	info, _ := ctx.Value(attemptKey{}).(Attempt)
	return info
}
