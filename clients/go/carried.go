package everstep

import (
	"context"
	"errors"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// ending is what an error of workflow code says about the end of its run.
type ending struct {
	failure *pb.Failure
	// failedSteps are the keys of the steps whose failures the error carries; RetryRun voids exactly these.
	failedSteps []string
	// cancelled: the workflow ends because of its cancel, if there was one.
	cancelled bool
}

func newEnding(err error) ending {
	return ending{failure: newFailure(err), failedSteps: carriedSteps(err), cancelled: carriesCancel(err)}
}

// carriesCancel also takes context.Canceled, which is what ctx.Err() says after a cancel.
func carriesCancel(err error) bool {
	return errors.Is(err, context.Canceled)
}

func carriedSteps(err error) []string {
	var keys []string
	seen := map[string]bool{}
	walk(err, func(carried error) {
		if failed, ok := carried.(*StepFailedError); ok && !seen[failed.StepKey] {
			seen[failed.StepKey] = true
			keys = append(keys, failed.StepKey)
		}
	})
	return keys
}

// walk visits an error, its causes, and the members of joins.
func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch wrapping := err.(type) {
	case interface{ Unwrap() error }:
		walk(wrapping.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, member := range wrapping.Unwrap() {
			walk(member, visit)
		}
	}
}
