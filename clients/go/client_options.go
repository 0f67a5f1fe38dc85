package everstep

import (
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// ClientOptions say how a client reaches the server. The zero value is enough for a server on this machine.
type ClientOptions struct {
	// Address is for example "http://127.0.0.1:7420"; https means TLS. Default: EVERSTEP_ADDRESS, else that one.
	Address string
	// APIKey is EVERSTEP_API_KEY by default, else none.
	APIKey string
	// TLSCAFile holds the certificates to trust, as PEM, for a server with a certificate of its own.
	TLSCAFile string
	// Namespace is EVERSTEP_NAMESPACE by default, else "default".
	Namespace string
	// Codec is JSON by default.
	Codec Codec
}

// StartOptions change how a run is started. The zero value starts it now, under an id of its own.
type StartOptions struct {
	// RunID is chosen by the caller to make starts idempotent over processes; default: a new UUIDv7. At most 8,192 bytes,
	// and never used again in its namespace.
	RunID string
	// RunKey is a business key: at most one open run of the workflow has it. Default: none.
	RunKey string
	// Queue is "default" by default.
	Queue string
	// Priority is 0 (most urgent) to 9, set with the function Priority; nil means 5.
	Priority *int
	// StartDelay makes the run available to workers after this time.
	StartDelay time.Duration
	// RunTimeout fails the run with type "RunTimeout" this long after its creation; 0 means never.
	RunTimeout time.Duration
	// RequestID: the same request has one effect. Default: a new one, kept over the retries of the call.
	RequestID string
}

// Priority is for StartOptions: 0 (most urgent) to 9.
func Priority(priority int) *int { return &priority }

// apply sets what a start request says beside the workflow and its input.
func (o StartOptions) apply(request *pb.StartRunRequest) {
	request.RunId = nonEmpty(o.RunID, newID())
	request.RunKey = o.RunKey
	request.Queue = o.Queue
	if o.Priority != nil {
		priority := int32(*o.Priority)
		request.Priority = &priority
	}
	request.StartDelayMs = milliseconds(o.StartDelay)
	request.RunTimeoutMs = milliseconds(o.RunTimeout)
	request.RequestId = nonEmpty(o.RequestID, newID())
}

// SignalRunOptions change how a signal is sent.
type SignalRunOptions struct {
	// RequestID: the same request has one effect. Default: a new one, kept over the retries of the call.
	RequestID string
}

// CancelOptions say how a run is cancelled.
type CancelOptions struct {
	// Reason stands in the history and in the workflow's *CancelledError.
	Reason string
	// Grace is how long the workflow may clean up before its run ends without it. Default 30 s; a negative one is none.
	Grace time.Duration
}

// TerminateOptions say why a run is terminated.
type TerminateOptions struct {
	// Reason stands in the history.
	Reason string
}

// PauseOptions say how a run is paused.
type PauseOptions struct {
	// Reason stands in the history.
	Reason string
	// Grace is how long running steps may go on before the lease is taken away. Default 30 s; a negative one is none.
	Grace time.Duration
}

// ResumeOptions say how a paused run goes on.
type ResumeOptions struct {
	// Resolution is needed by a run that was paused for an uncertain effect, and by no other.
	Resolution *Resolution
}

// RetryRunOptions say how a failed run is opened again.
type RetryRunOptions struct {
	// Reason stands in the history.
	Reason string
	// RequestID: the same request has one effect. Default: a new one, kept over the retries of the call.
	RequestID string
}

// WatchOptions say where a watch begins.
type WatchOptions struct {
	// AfterSeq leaves out the events up to this one. Default: the whole history comes first.
	AfterSeq int64
}

// graceMs is nil for the server's default.
func graceMs(grace time.Duration) *int64 {
	if grace == 0 {
		return nil
	}
	ms := milliseconds(grace)
	return &ms
}

// ListFilter selects runs; all conditions that are set must hold.
type ListFilter struct {
	Workflow string
	Queue    string
	Statuses []RunStatus
	RunKey   string
	// PageSize is how many are fetched at a time; default 100.
	PageSize int
}
