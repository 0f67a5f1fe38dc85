package everstep

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Error is what every error of the SDK is; find them with errors.As. Reason is stable and for code, Error is for people.
type Error interface {
	error
	Reason() string
}

// ReasonOf returns the reason of the first SDK error that err carries, for example "RUN_NOT_FOUND"; empty if none.
func ReasonOf(err error) string {
	var known Error
	if errors.As(err, &known) {
		return known.Reason()
	}
	return ""
}

// CancelledError means that a cancel was requested: waits inside the workflow return it, the context of the workflow
// has it as its cause, and it is the result of a CANCELLED run. It is a context.Canceled for errors.Is.
type CancelledError struct {
	RunID string
	Why   string
}

func (e *CancelledError) Error() string {
	if e.Why == "" {
		return fmt.Sprintf("run %s was cancelled", quote(e.RunID))
	}
	return fmt.Sprintf("run %s was cancelled: %s", quote(e.RunID), e.Why)
}

// Reason implements Error.
func (e *CancelledError) Reason() string { return "CANCELLED" }

// Is makes it a context.Canceled.
func (e *CancelledError) Is(target error) bool { return target == context.Canceled }

// LeaseLostError is the cause of contexts when this worker no longer holds the run: stop side effects, someone else
// goes on.
type LeaseLostError struct {
	RunID string
	Why   string
}

func (e *LeaseLostError) Error() string {
	return fmt.Sprintf("the lease of run %s is gone: %s", quote(e.RunID), e.Why)
}

// Reason implements Error.
func (e *LeaseLostError) Reason() string { return "LEASE_LOST" }

// Is makes it a context.Canceled.
func (e *LeaseLostError) Is(target error) bool { return target == context.Canceled }

// StepTimeoutError is the cause of an attempt's context when the attempt took longer than its timeout; stored with type
// "StepTimeout".
type StepTimeoutError struct {
	StepKey string
	Timeout time.Duration
}

func (e *StepTimeoutError) Error() string {
	return fmt.Sprintf("step %s took longer than %d ms", quote(e.StepKey), milliseconds(e.Timeout))
}

// Reason implements Error.
func (e *StepTimeoutError) Reason() string { return "STEP_TIMEOUT" }

// SignalTimeoutError is what Signal returns when its timeout fired before a signal came.
type SignalTimeoutError struct {
	StepKey string
	Name    string
}

func (e *SignalTimeoutError) Error() string {
	return fmt.Sprintf("no signal %s came in time", quote(e.Name))
}

// Reason implements Error.
func (e *SignalTimeoutError) Reason() string { return "SIGNAL_TIMEOUT" }

// AmbiguousStepKeyError means that the same key was used again while its first use had not finished: "#n" would depend
// on who comes first.
type AmbiguousStepKeyError struct {
	StepKey string
}

func (e *AmbiguousStepKeyError) Error() string {
	return fmt.Sprintf("step key %s is used by two branches at the same time; give each branch its own key",
		quote(e.StepKey))
}

// Reason implements Error.
func (e *AmbiguousStepKeyError) Reason() string { return "AMBIGUOUS_STEP_KEY" }

// NonDeterminismError means that the code asks for something else under a step key than its history holds. It ends the
// run, whatever the code does with errors.
type NonDeterminismError struct {
	StepKey string
	Asked   string
	Found   string
}

func (e *NonDeterminismError) Error() string {
	return fmt.Sprintf("step key %s is a %s in the code and a %s in the history; was the workflow changed while the run was open?",
		quote(e.StepKey), e.Asked, e.Found)
}

// Reason implements Error.
func (e *NonDeterminismError) Reason() string { return "STEP_KIND_MISMATCH" }

// InvalidArgumentError is a step key, signal name, delay or option that is not allowed.
type InvalidArgumentError struct {
	message string
}

func (e *InvalidArgumentError) Error() string { return e.message }

// Reason implements Error.
func (e *InvalidArgumentError) Reason() string { return "INVALID_ARGUMENT" }

// PayloadTooLargeError is a value that is larger than the server takes.
type PayloadTooLargeError struct {
	message string
}

func (e *PayloadTooLargeError) Error() string { return e.message }

// Reason implements Error.
func (e *PayloadTooLargeError) Reason() string { return "PAYLOAD_TOO_LARGE" }

// PayloadCodecError means that the codec could not encode or decode a value.
type PayloadCodecError struct {
	message string
	cause   error
}

func (e *PayloadCodecError) Error() string { return e.message + ": " + e.cause.Error() }

// Reason implements Error.
func (e *PayloadCodecError) Reason() string { return "PAYLOAD_CODEC" }

// Unwrap returns what the codec said.
func (e *PayloadCodecError) Unwrap() error { return e.cause }

// OpRefusedError means that the server refused an op of this run; its reason is the one that the server gave.
type OpRefusedError struct {
	reason  string
	message string
	Field   string
}

func (e *OpRefusedError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s: %s", e.reason, e.message)
	}
	return fmt.Sprintf("%s: %s (%s)", e.reason, e.message, e.Field)
}

// Reason implements Error.
func (e *OpRefusedError) Reason() string { return e.reason }

// HistoryLimitError means that the run's history is at the server's limit; the run fails with it.
type HistoryLimitError struct {
	message string
}

func (e *HistoryLimitError) Error() string { return e.message }

// Reason implements Error.
func (e *HistoryLimitError) Reason() string { return "HISTORY_LIMIT" }

// PanicError is a panic of a step function or of workflow code, kept as a failure of type "Panic".
type PanicError struct {
	Value any
	Stack string
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Reason implements Error.
func (e *PanicError) Reason() string { return "PANIC" }

// quotedBytesMax keeps a message readable when somebody uses a document as a key.
const quotedBytesMax = 200

func quote(text string) string {
	if len(text) > quotedBytesMax {
		return fmt.Sprintf("%q...", cut(text, quotedBytesMax))
	}
	return fmt.Sprintf("%q", text)
}
