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
	// TLSCAFile holds the certificates to trust, for a server with a certificate of its own.
	TLSCAFile string
	// Namespace is "default" by default.
	Namespace string
	// Codec is JSON by default.
	Codec Codec
}

// StartOption changes how a run is started.
type StartOption func(*pb.StartRunRequest)

// WithRunID chooses the run's id, to make starts idempotent over processes; default: a new UUIDv7.
func WithRunID(runID string) StartOption {
	return func(r *pb.StartRunRequest) { r.RunId = runID }
}

// WithRunKey is a business key: at most one open run of the workflow has it.
func WithRunKey(key string) StartOption {
	return func(r *pb.StartRunRequest) { r.RunKey = key }
}

// WithQueue chooses the queue; default: "default".
func WithQueue(queue string) StartOption {
	return func(r *pb.StartRunRequest) { r.Queue = queue }
}

// WithPriority is 0 (most urgent) to 9; default 5.
func WithPriority(priority int) StartOption {
	return func(r *pb.StartRunRequest) {
		number := int32(priority)
		r.Priority = &number
	}
}

// WithStartDelay makes the run available to workers after this time.
func WithStartDelay(delay time.Duration) StartOption {
	return func(r *pb.StartRunRequest) { r.StartDelayMs = milliseconds(delay) }
}

// WithRunTimeout fails the run with type "RunTimeout" this long after its creation.
func WithRunTimeout(timeout time.Duration) StartOption {
	return func(r *pb.StartRunRequest) { r.RunTimeoutMs = milliseconds(timeout) }
}

// WithStartRequestID: the same request has one effect. Default: a new one, kept over the retries of a call.
func WithStartRequestID(requestID string) StartOption {
	return func(r *pb.StartRunRequest) { r.RequestId = requestID }
}

// SteerOptions are what Cancel, Terminate, Pause and Retry may say beside the run. The zero value is enough.
type SteerOptions struct {
	// Reason stands in the history.
	Reason string
	// Grace is how long the workflow may clean up (Cancel) or finish its steps (Pause); default 30 s.
	Grace time.Duration
	// RequestID: the same request has one effect (Retry).
	RequestID string
}

func (o SteerOptions) graceMs() *int64 {
	if o.Grace == 0 {
		return nil
	}
	ms := milliseconds(o.Grace)
	return &ms
}

// Resolution says what became of a step whose effect is uncertain.
type Resolution struct {
	wire func(Codec) (*pb.Resolution, error)
}

// RepeatStep runs the step again: that is safe.
func RepeatStep() *Resolution {
	return &Resolution{wire: func(Codec) (*pb.Resolution, error) {
		return &pb.Resolution{Verdict: &pb.Resolution_Repeat{Repeat: &pb.RepeatStep{}}}, nil
	}}
}

// CompleteStep says that the effect happened, with this output.
func CompleteStep(output any) *Resolution {
	return &Resolution{wire: func(codec Codec) (*pb.Resolution, error) {
		payload, err := encodePayload(codec, output)
		if err != nil {
			return nil, err
		}
		if payload == nil {
			payload = &pb.Payload{}
		}
		return &pb.Resolution{Verdict: &pb.Resolution_Complete{Complete: payload}}, nil
	}}
}

// FailStep says that the step failed for good.
func FailStep(reason error) *Resolution {
	return &Resolution{wire: func(Codec) (*pb.Resolution, error) {
		return &pb.Resolution{Verdict: &pb.Resolution_Fail{Fail: newFailure(reason)}}, nil
	}}
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
