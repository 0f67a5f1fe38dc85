package everstep

import (
	"fmt"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// StepOptions change how a step is run. The zero value tries it four times, with the server's back-off.
type StepOptions struct {
	// Retry says when a failed attempt is tried again; nil means the defaults of RetryOptions, and a single attempt for
	// a step that may run at most once.
	Retry *RetryOptions
	// Timeout bounds each attempt; a longer one fails with type "StepTimeout". 0 means no limit.
	Timeout time.Duration
	// AtMostOnce never runs the step twice on a guess: if the worker is lost inside, the run is paused and a person
	// decides (ResumeOptions).
	AtMostOnce bool
	// Input is recorded with the start of the step, for people who read the history.
	Input any
}

// chosenStep is StepOptions as the session's goroutine needs them: checked, and the input encoded.
type chosenStep struct {
	StepOptions
	inputPayload *pb.Payload
	// inputFailure fails the attempt: the input could not be encoded.
	inputFailure *pb.Failure
	invalid      error
}

func chooseStep(run *leaseRun, key string, options []StepOptions) (chosen chosenStep) {
	chosen.StepOptions, chosen.invalid = optional(options)
	if chosen.Timeout < 0 || chosen.Timeout > delayMax {
		chosen.invalid = &InvalidArgumentError{
			message: fmt.Sprintf("a step's timeout is a time up to %v, not %v", delayMax, chosen.Timeout),
		}
	}
	if chosen.Input != nil {
		what := "the input of step " + quote(key)
		payload, err := encodeWithin(run.codec(), chosen.Input, what, run.session.payloadBytesMax())
		if err != nil {
			chosen.inputFailure = newFailure(err)
		}
		chosen.inputPayload = payload
	}
	return chosen
}
