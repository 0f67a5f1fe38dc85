package everstep

import "context"

// StepAttempt is what a step function may want to know about its attempt; AttemptOf returns it.
type StepAttempt struct {
	RunID   string
	StepKey string
	// Attempt counts the attempts of the step, from 1.
	Attempt int
	// FencingToken grows with every lease of the run: hand it to systems that can refuse writes of an older holder.
	FencingToken int64
	// IdempotencyKey is the same for all attempts and all workers: the key for idempotent calls.
	IdempotencyKey string
}

type attemptKey struct{}

// AttemptOf returns the attempt of the step function that got this context; the zero value outside of one.
func AttemptOf(ctx context.Context) StepAttempt {
	info, _ := ctx.Value(attemptKey{}).(StepAttempt)
	return info
}
