package everstep

import (
	"errors"
	"fmt"
	"time"
)

// StepFailedError means that a step's attempts are exhausted. It unwraps to the last attempt's error, a *RemoteError.
type StepFailedError struct {
	StepKey  string
	Attempts int
	Failure  Failure
}

func (e *StepFailedError) Error() string {
	return fmt.Sprintf("step %s failed for good: %s: %s", quote(e.StepKey), e.Failure.Type, e.Failure.Message)
}

// Reason implements Error.
func (e *StepFailedError) Reason() string { return "STEP_FAILED" }

// Unwrap returns the last attempt's error.
func (e *StepFailedError) Unwrap() error { return &RemoteError{Failure: e.Failure} }

// RunFailedError is the result of a FAILED run. It unwraps to the error as the worker stored it.
type RunFailedError struct {
	RunID   string
	Failure Failure
}

func (e *RunFailedError) Error() string {
	return fmt.Sprintf("run %s failed: %s: %s", quote(e.RunID), e.Failure.Type, e.Failure.Message)
}

// Reason implements Error.
func (e *RunFailedError) Reason() string { return "RUN_FAILED" }

// Unwrap returns the stored error, a *RemoteError.
func (e *RunFailedError) Unwrap() error { return &RemoteError{Failure: e.Failure} }

// RunTerminatedError is the result of a TERMINATED run.
type RunTerminatedError struct {
	RunID string
}

func (e *RunTerminatedError) Error() string {
	return fmt.Sprintf("run %s was terminated", quote(e.RunID))
}

// Reason implements Error.
func (e *RunTerminatedError) Reason() string { return "RUN_TERMINATED" }

// RemoteError is an error that was stored and read back. The first run and a replay both get this one, never the
// original value. It unwraps to its cause.
type RemoteError struct {
	Failure Failure
}

func (e *RemoteError) Error() string { return e.Failure.Message }

// Reason implements Error.
func (e *RemoteError) Reason() string { return "REMOTE" }

// FailureType keeps the stored type when the error is stored again.
func (e *RemoteError) FailureType() string { return e.Failure.Type }

// Unwrap returns the cause; nil if there is none.
func (e *RemoteError) Unwrap() error {
	if e.Failure.Cause == nil {
		return nil
	}
	return &RemoteError{Failure: *e.Failure.Cause}
}

// HasFailureType tells whether err carries a stored failure of this type, whatever stands around it.
func HasFailureType(err error, failureType string) bool {
	for {
		var remote *RemoteError
		if !errors.As(err, &remote) {
			return false
		}
		if remote.Failure.Type == failureType {
			return true
		}
		err = remote.Unwrap()
	}
}

// NonRetryableError, returned by a step function (wrapped or not), fails the step at once whatever its policy says.
type NonRetryableError struct {
	// Type is what policies and readers see; default "NonRetryableError".
	Type    string
	Message string
	// Details are structured facts, stored as JSON.
	Details any
	Cause   error
}

func (e *NonRetryableError) Error() string {
	switch {
	case e.Message != "":
		return e.Message
	case e.Cause != nil:
		return e.Cause.Error()
	default:
		return e.FailureType()
	}
}

// Reason implements Error.
func (e *NonRetryableError) Reason() string { return "NON_RETRYABLE" }

// Unwrap returns the cause.
func (e *NonRetryableError) Unwrap() error { return e.Cause }

// FailureType returns the type under which it is stored.
func (e *NonRetryableError) FailureType() string {
	if e.Type == "" {
		return "NonRetryableError"
	}
	return e.Type
}

// RetryAfterError, returned by a step function, is tried again no earlier than after the time that it names.
type RetryAfterError struct {
	Message string
	After   time.Duration
	Cause   error
}

func (e *RetryAfterError) Error() string {
	if e.Message == "" && e.Cause != nil {
		return e.Cause.Error()
	}
	return e.Message
}

// Reason implements Error.
func (e *RetryAfterError) Reason() string { return "RETRY_AFTER" }

// Unwrap returns the cause.
func (e *RetryAfterError) Unwrap() error { return e.Cause }
