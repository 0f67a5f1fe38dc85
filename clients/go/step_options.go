package everstep

import (
	"fmt"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// StepOption changes how a step is run.
type StepOption func(*stepOptions)

type stepOptions struct {
	retry      *RetryPolicy
	timeout    time.Duration
	atMostOnce bool
	input      any

	inputPayload *pb.Payload
	// inputFailure fails the attempt: the input could not be encoded.
	inputFailure *pb.Failure
	invalid      error
}

// WithRetry says when a failed attempt is tried again.
func WithRetry(policy RetryPolicy) StepOption {
	return func(o *stepOptions) { o.retry = &policy }
}

// WithTimeout bounds each attempt; a longer one fails with type "StepTimeout".
func WithTimeout(timeout time.Duration) StepOption {
	return func(o *stepOptions) {
		o.timeout = timeout
		if timeout <= 0 {
			o.invalid = &InvalidArgumentError{message: fmt.Sprintf("a step's timeout is more than nothing, not %v", timeout)}
		}
	}
}

// AtMostOnce never runs the step twice on a guess: if the worker is lost inside, the run is paused and a person decides.
func AtMostOnce() StepOption {
	return func(o *stepOptions) { o.atMostOnce = true }
}

// WithInput records a value with the start of the step, for people who read the history.
func WithInput(input any) StepOption {
	return func(o *stepOptions) { o.input = input }
}

func newStepOptions(run *leaseRun, key string, options []StepOption) stepOptions {
	var chosen stepOptions
	for _, option := range options {
		option(&chosen)
	}
	if chosen.input != nil {
		what := "the input of step " + quote(key)
		payload, err := encodeWithin(run.codec(), chosen.input, what, run.session.payloadBytesMax())
		if err != nil {
			chosen.inputFailure = newFailure(err)
		}
		chosen.inputPayload = payload
	}
	return chosen
}
