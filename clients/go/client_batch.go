package everstep

import (
	"context"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// StartRequest is one run of a batch.
type StartRequest struct {
	Workflow string
	Input    any
	Options  StartOptions
}

// StartResult is how one start of a batch went: Run is set, or Err, a *StartRefusedError.
type StartResult struct {
	Run *RunHandle
	Err error
}

// StartRefusedError says why one run of a batch was not started.
type StartRefusedError struct {
	reason  string
	message string
	// Field is what is wrong; empty if none.
	Field string
	// RunID is the run that is in the way; empty if none.
	RunID string
}

func (e *StartRefusedError) Error() string { return e.reason + ": " + e.message }

// Reason implements Error.
func (e *StartRefusedError) Reason() string { return e.reason }

// StartBatch starts up to 1,000 runs in one call, each for itself: one refused does not refuse the others. The results
// are in the order of the requests.
func (c *Client) StartBatch(ctx context.Context, requests []StartRequest) ([]StartResult, error) {
	batch := &pb.StartRunsRequest{}
	for _, request := range requests {
		wire, err := c.startRequest(request.Workflow, request.Input, request.Options)
		if err != nil {
			return nil, err
		}
		batch.Runs = append(batch.Runs, wire)
	}
	response, err := call(ctx, c, batch, c.rpc.StartRuns)
	if err != nil {
		return nil, err
	}
	results := make([]StartResult, len(response.GetResults()))
	for at, result := range response.GetResults() {
		if started := result.GetStarted(); started != nil {
			results[at].Run = &RunHandle{client: c, RunID: started.GetRunId(), AlreadyStarted: started.GetAlreadyStarted()}
			continue
		}
		refused := result.GetRefused()
		results[at].Err = &StartRefusedError{
			reason: refused.GetReason(), message: refused.GetMessage(), Field: refused.GetField(), RunID: refused.GetRunId(),
		}
	}
	return results, nil
}
