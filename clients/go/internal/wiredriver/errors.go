package main

import (
	"encoding/json"
	"errors"

	everstep "github.com/everstep/everstep/clients/go"
)

// fail is an error as data.
type fail struct {
	Type         string
	Message      string
	NonRetryable bool
	RetryAfterMs *int64
	Details      json.RawMessage
	Cause        *fail
}

// error is what the SDK stores with exactly this type, message, details and cause.
func (f *fail) error() error {
	var cause error
	if f.Cause != nil {
		cause = f.Cause.error()
	}
	switch {
	case f.RetryAfterMs != nil:
		return &everstep.RetryAfterError{Message: f.Message, After: milliseconds(*f.RetryAfterMs), Cause: cause}
	case f.NonRetryable:
		return &everstep.NonRetryableError{Type: f.Type, Message: f.Message, Details: given(f.Details), Cause: cause}
	default:
		return &typedError{fail: f, cause: cause}
	}
}

// typedError is an error of user code that names its type.
type typedError struct {
	fail  *fail
	cause error
}

func (e *typedError) Error() string       { return e.fail.Message }
func (e *typedError) Unwrap() error       { return e.cause }
func (e *typedError) FailureType() string { return e.fail.Type }
func (e *typedError) FailureDetails() any { return given(e.fail.Details) }

// errorOf is how the driver tells of an error.
func errorOf(err error) map[string]any {
	var step *everstep.StepFailedError
	var run *everstep.RunFailedError
	var nonRetryable *everstep.NonRetryableError
	var remote *everstep.RemoteError
	var own *typedError
	switch {
	case errors.As(err, &step):
		return map[string]any{
			"reason": step.Reason(), "stepKey": step.StepKey, "attempts": step.Attempts, "cause": stored(step.Failure),
		}
	case errors.As(err, &run):
		return map[string]any{"reason": run.Reason(), "cause": stored(run.Failure)}
	case errors.Is(err, errResultTimeout):
		return map[string]any{"reason": errResultTimeout.Error()}
	case errors.As(err, &own):
		return told(own.FailureType(), own.Error(), own.fail.Details, own.cause)
	case errors.As(err, &nonRetryable):
		details, _ := nonRetryable.Details.(json.RawMessage)
		return told(nonRetryable.FailureType(), nonRetryable.Error(), details, nonRetryable.Cause)
	case errors.As(err, &remote):
		return stored(remote.Failure)
	case everstep.ReasonOf(err) != "":
		return map[string]any{"reason": everstep.ReasonOf(err), "message": err.Error()}
	default:
		return told("Error", err.Error(), nil, nil)
	}
}

func told(failureType, message string, details json.RawMessage, cause error) map[string]any {
	told := map[string]any{"type": failureType, "message": message}
	if details != nil {
		told["details"] = details
	}
	if cause != nil {
		told["cause"] = errorOf(cause)
	}
	return told
}

func stored(failure everstep.Failure) map[string]any {
	told := told(failure.Type, failure.Message, failure.Details, nil)
	if failure.Cause != nil {
		told["cause"] = stored(*failure.Cause)
	}
	return told
}
