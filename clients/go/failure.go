package everstep

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// Failure is a failure as data: the same record for attempts, steps and runs, and for all languages.
type Failure struct {
	// Type names the kind, for example "CardDeclined". For a Go error it is what its FailureType method says, else the
	// name of its Go type; plain errors of the packages errors and fmt give the type of what they wrap, or "Error".
	Type    string
	Message string
	// Stack is empty for Go errors that are no panics.
	Stack string
	// Details are JSON text; nil if there are none. For a Go error they are what its FailureDetails method returns.
	Details      json.RawMessage
	Cause        *Failure
	NonRetryable bool
	RetryAfter   time.Duration
}

// typed is implemented by errors that name their own failure type.
type typed interface {
	FailureType() string
}

// detailed is implemented by errors that carry structured facts.
type detailed interface {
	FailureDetails() any
}

// newFailure turns any error into the record. It calls methods of user types, so it never runs on the session's
// goroutine, and a panic of theirs becomes the message.
func newFailure(err error) (failure *pb.Failure) {
	defer func() {
		if value := recover(); value != nil {
			failure = &pb.Failure{Type: "Error", Message: fmt.Sprintf("the error's own method panicked: %v", value)}
		}
	}()
	failure = failureAt(err, 1)
	failure.NonRetryable = isNonRetryable(err)
	var retryAfter *RetryAfterError
	if errors.As(err, &retryAfter) && retryAfter.After > 0 {
		failure.RetryAfterMs = milliseconds(retryAfter.After)
	}
	return failure
}

func failureAt(err error, depth int) *pb.Failure {
	failure := &pb.Failure{
		Type:    cut(failureType(err), failureTypeBytesMax),
		Message: cut(err.Error(), failureMessageBytesMax),
		Stack:   cut(stackOf(err), failureStackBytesMax),
		Details: detailsOf(err),
	}
	if cause := causeOf(err); cause != nil && depth < failureDepthMax {
		failure.Cause = failureAt(cause, depth+1)
	}
	return failure
}

// causeOf is the wrapped error; the first one of a join.
func causeOf(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, cause := range joined.Unwrap() {
			return cause
		}
	}
	return nil
}

// failureType looks through the anonymous wrappers of fmt.Errorf and errors.Join: policies match on what they carry.
func failureType(err error) string {
	for at := err; at != nil; at = causeOf(at) {
		if name := ownType(at); name != "" {
			return name
		}
	}
	return "Error"
}

// ownType returns the names that are part of the contract between languages, else the name of the Go type.
func ownType(err error) string {
	switch known := err.(type) {
	case typed:
		return known.FailureType()
	case *StepTimeoutError:
		return "StepTimeout"
	case *SignalTimeoutError:
		return "SignalTimeout"
	case *PayloadTooLargeError:
		return "PayloadTooLarge"
	case *HistoryLimitError:
		return "HistoryLimit"
	case *NonDeterminismError:
		return "NonDeterminism"
	case *AmbiguousStepKeyError:
		return "AmbiguousStepKey"
	case *StepFailedError:
		return "StepFailed"
	case *PanicError:
		return "Panic"
	}
	kind := reflect.TypeOf(err)
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if pkg := kind.PkgPath(); pkg == "errors" || pkg == "fmt" {
		return ""
	}
	return kind.Name()
}

// isNonRetryable finds the named kinds that no retry helps, and whatever says so of itself.
func isNonRetryable(err error) bool {
	var nonRetryable *NonRetryableError
	var tooLarge *PayloadTooLargeError
	var codec *PayloadCodecError
	if errors.As(err, &nonRetryable) || errors.As(err, &tooLarge) || errors.As(err, &codec) {
		return true
	}
	var own interface{ NonRetryable() bool }
	return errors.As(err, &own) && own.NonRetryable()
}

func stackOf(err error) string {
	switch known := err.(type) {
	case *PanicError:
		return known.Stack
	case *RemoteError:
		return known.Failure.Stack
	default:
		return ""
	}
}

func detailsOf(err error) *pb.Payload {
	var text []byte
	switch known := err.(type) {
	case *RemoteError:
		text = known.Failure.Details
	case *NonRetryableError:
		text = detailsText(known.Details)
	case detailed:
		text = detailsText(known.FailureDetails())
	}
	if len(text) == 0 || len(text) > failureMessageBytesMax {
		return nil
	}
	return &pb.Payload{Data: &pb.Payload_Json{Json: string(text)}}
}

func detailsText(details any) []byte {
	if details == nil {
		return nil
	}
	text, err := json.Marshal(details)
	if err != nil {
		return nil // the message still says what happened
	}
	return text
}

// readFailure is the way back.
func readFailure(failure *pb.Failure) Failure {
	if failure == nil {
		return Failure{Type: "Unknown"}
	}
	read := Failure{
		Type:         failure.GetType(),
		Message:      failure.GetMessage(),
		Stack:        failure.GetStack(),
		NonRetryable: failure.GetNonRetryable(),
		RetryAfter:   duration(failure.GetRetryAfterMs()),
	}
	if text := failure.GetDetails().GetJson(); text != "" {
		read.Details = json.RawMessage(text)
	}
	if failure.GetCause() != nil {
		cause := readFailure(failure.GetCause())
		read.Cause = &cause
	}
	return read
}

// cut shortens a text to at most bytesMax bytes of valid UTF-8: the wire takes nothing else.
func cut(text string, bytesMax int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= bytesMax {
		return text
	}
	for bytesMax > 0 && !utf8.RuneStart(text[bytesMax]) {
		bytesMax--
	}
	return text[:bytesMax]
}
