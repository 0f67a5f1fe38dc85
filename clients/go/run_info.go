package everstep

import (
	"strings"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// RunStatus is the state of a run.
type RunStatus string

// The states of a run; the last four are final.
const (
	RunQueued     RunStatus = "QUEUED"
	RunRunning    RunStatus = "RUNNING"
	RunWaiting    RunStatus = "WAITING"
	RunPaused     RunStatus = "PAUSED"
	RunCompleted  RunStatus = "COMPLETED"
	RunFailed     RunStatus = "FAILED"
	RunCancelled  RunStatus = "CANCELLED"
	RunTerminated RunStatus = "TERMINATED"
)

// Ended tells whether the status is final.
func (s RunStatus) Ended() bool {
	switch s {
	case RunCompleted, RunFailed, RunCancelled, RunTerminated:
		return true
	default:
		return false
	}
}

func (s RunStatus) wire() (pb.RunStatus, error) {
	number, ok := pb.RunStatus_value["RUN_STATUS_"+string(s)]
	if !ok {
		return 0, &InvalidArgumentError{message: "there is no run status " + quote(string(s))}
	}
	return pb.RunStatus(number), nil
}

// Value is a payload that was not decoded yet.
type Value struct {
	payload *pb.Payload
	codec   Codec
}

// IsSet is false for "no value".
func (v Value) IsSet() bool { return v.payload.GetData() != nil }

// Decode stores the value in what into points to, and leaves it alone when there is no value.
func (v Value) Decode(into any) error { return decodePayload(v.codec, v.payload, into) }

// RunInfo is a run as data.
type RunInfo struct {
	Namespace string
	RunID     string
	Workflow  string
	Queue     string
	RunKey    string
	Status    RunStatus
	// PauseReason is set while PAUSED, for example "UNCERTAIN_EFFECT".
	PauseReason     string
	CancelRequested bool
	// Input and Output are left out of lists.
	Input  Value
	Output Value
	// Failure is set when FAILED.
	Failure        *Failure
	Priority       int
	Version        int64
	StepsCompleted int64
	LastSeq        int64
	Epoch          int64
	// WorkerID is who holds the lease; empty if nobody does.
	WorkerID  string
	CreatedAt time.Time
	UpdatedAt time.Time
	// StartedAt and ClosedAt are zero while they have not come.
	StartedAt time.Time
	ClosedAt  time.Time
}

func newRunInfo(run *pb.Run, codec Codec) RunInfo {
	info := RunInfo{
		Namespace:       run.GetNamespace(),
		RunID:           run.GetRunId(),
		Workflow:        run.GetWorkflow(),
		Queue:           run.GetQueue(),
		RunKey:          run.GetRunKey(),
		Status:          RunStatus(strings.TrimPrefix(run.GetStatus().String(), "RUN_STATUS_")),
		CancelRequested: run.GetCancelRequested(),
		Input:           Value{run.GetInput(), codec},
		Output:          Value{run.GetOutput(), codec},
		Priority:        int(run.GetPriority()),
		Version:         run.GetVersion(),
		StepsCompleted:  run.GetStepsCompleted(),
		LastSeq:         run.GetLastSeq(),
		Epoch:           run.GetEpoch(),
		WorkerID:        run.GetWorkerId(),
		CreatedAt:       instant(run.GetCreatedAtMs()),
		UpdatedAt:       instant(run.GetUpdatedAtMs()),
		StartedAt:       instant(run.GetStartedAtMs()),
		ClosedAt:        instant(run.GetClosedAtMs()),
	}
	if run.GetPauseReason() != pb.PauseReason_PAUSE_REASON_UNSPECIFIED {
		info.PauseReason = strings.TrimPrefix(run.GetPauseReason().String(), "PAUSE_REASON_")
	}
	if run.GetFailure() != nil {
		failure := readFailure(run.GetFailure())
		info.Failure = &failure
	}
	return info
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
