package everstep

import (
	"math"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// Backoff names how the delay grows from attempt to attempt.
type Backoff int

// The kinds of back-off; the zero value is Exponential.
const (
	Exponential Backoff = iota
	Linear
	Fixed
)

// Unlimited attempts, for RetryOptions.MaxAttempts.
const Unlimited = -1

// RetryOptions say when a failed attempt of a step is tried again. Zero fields mean the defaults. The server decides,
// with the policy that came with the failure, so it may be changed while runs are open.
type RetryOptions struct {
	// MaxAttempts counts the first attempt, too. Default 4; Unlimited for no limit.
	MaxAttempts int
	// Backoff is Exponential by default.
	Backoff Backoff
	// InitialDelay comes after the first failed attempt. Default 1 s; Delays can say 0.
	InitialDelay time.Duration
	// Factor is the growth of the exponential back-off. Default 2.
	Factor float64
	// MaxDelay bounds every delay. Default 60 s.
	MaxDelay time.Duration
	// Delays in turn, the last one repeats; they take the place of Backoff.
	Delays []time.Duration
	// Jitter is the share of the delay that is random, 0 to 1.
	Jitter float64
	// MaxElapsed: no attempt starts later than this after the first one. Default: no limit.
	MaxElapsed time.Duration
	// NonRetryableTypes are failure types that are never retried; see Failure.Type.
	NonRetryableTypes []string
}

// wirePolicy returns nil for the server's default. A step that may run at most once is not repeated unless the code
// asks for it.
func wirePolicy(policy *RetryOptions, atMostOnce bool) *pb.RetryPolicy {
	if policy == nil {
		if !atMostOnce {
			return nil
		}
		policy = &RetryOptions{MaxAttempts: 1}
	}
	wire := &pb.RetryPolicy{
		Backoff:           backoffKind(policy),
		MaxElapsedMs:      milliseconds(policy.MaxElapsed),
		NonRetryableTypes: policy.NonRetryableTypes,
	}
	for _, delay := range policy.Delays {
		wire.DelaysMs = append(wire.DelaysMs, milliseconds(delay))
	}
	if policy.MaxAttempts != 0 {
		attempts := int32(min(max(policy.MaxAttempts, 0), math.MaxInt32)) // 0 on the wire: no limit
		wire.MaxAttempts = &attempts
	}
	if policy.InitialDelay > 0 {
		delayMs := milliseconds(policy.InitialDelay)
		wire.InitialDelayMs = &delayMs
	}
	if policy.MaxDelay > 0 {
		delayMs := milliseconds(policy.MaxDelay)
		wire.MaxDelayMs = &delayMs
	}
	if policy.Factor != 0 {
		wire.Factor = &policy.Factor
	}
	if policy.Jitter != 0 {
		wire.Jitter = &policy.Jitter
	}
	return wire
}

func backoffKind(policy *RetryOptions) pb.BackoffKind {
	switch {
	case len(policy.Delays) > 0:
		return pb.BackoffKind_BACKOFF_KIND_LISTED
	case policy.Backoff == Linear:
		return pb.BackoffKind_BACKOFF_KIND_LINEAR
	case policy.Backoff == Fixed:
		return pb.BackoffKind_BACKOFF_KIND_FIXED
	default:
		return pb.BackoffKind_BACKOFF_KIND_EXPONENTIAL
	}
}
