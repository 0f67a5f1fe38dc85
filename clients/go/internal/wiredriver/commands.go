package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
)

// command is every command of the protocol; a field belongs to those that name it.
type command struct {
	Cmd          string
	ID           int64
	Run          string
	Key          string
	Result       json.RawMessage
	Fail         *fail
	Workflow     string
	Input        json.RawMessage
	RunKey       string
	Queue        string
	RequestID    string
	Priority     *int
	StartDelayMs int64
	RunTimeoutMs int64
	Capacity     int
	Statuses     []everstep.RunStatus
	TimeoutMs    *int64
	Name         string
	Value        json.RawMessage
	Why          string
	GraceMs      *int64
	Resolution   json.RawMessage
}

// atOnce does commands that ask the server nothing; known is false for the others.
func (d *driver) atOnce(c command) (value any, known bool) {
	switch c.Cmd {
	case "finish":
		return d.holds.finish(c.Run, c.Key, outcome{result: c.Result, fail: c.Fail}), true
	case "health":
		now := d.worker.Health()
		return map[string]any{
			"connected": now.Connected, "state": now.State, "held": now.Held, "capacity": now.Capacity,
		}, true
	case "drain":
		d.drain()
		return nil, true
	default:
		return nil, false
	}
}

// call does the other commands.
func (d *driver) call(ctx context.Context, c command) (any, error) {
	switch c.Cmd {
	case "capacity":
		return nil, d.worker.SetCapacity(c.Capacity)
	case "start":
		return d.start(ctx, c)
	case "get":
		return d.get(ctx, c)
	case "list":
		return d.list(ctx, c)
	case "result":
		return d.result(ctx, c)
	case "signal":
		return d.client.Signal(ctx, c.Run, c.Name, given(c.Value), everstep.SignalRunOptions{RequestID: c.RequestID})
	case "cancel":
		return statusOf(d.client.Cancel(ctx, c.Run, everstep.CancelOptions{Reason: c.Why, Grace: c.grace()}))
	case "terminate":
		return statusOf(d.client.Terminate(ctx, c.Run, everstep.TerminateOptions{Reason: c.Why}))
	case "pause":
		return statusOf(d.client.Pause(ctx, c.Run, everstep.PauseOptions{Reason: c.Why, Grace: c.grace()}))
	case "resume":
		resolution, err := c.resolution()
		if err != nil {
			return nil, err
		}
		return statusOf(d.client.Resume(ctx, c.Run, everstep.ResumeOptions{Resolution: resolution}))
	case "retry":
		return statusOf(d.client.Retry(ctx, c.Run, everstep.RetryRunOptions{Reason: c.Why}))
	case "watch":
		return d.watch(ctx, c)
	default:
		return nil, fmt.Errorf("there is no command %q", c.Cmd)
	}
}

func (d *driver) start(ctx context.Context, c command) (any, error) {
	workflow := c.Workflow
	if workflow == "" {
		workflow = "program"
	}
	run, err := d.client.Start(ctx, workflow, given(c.Input), everstep.StartOptions{
		RunID: c.Run, RunKey: c.RunKey, Queue: c.Queue, RequestID: c.RequestID, Priority: c.Priority,
		StartDelay: milliseconds(c.StartDelayMs), RunTimeout: milliseconds(c.RunTimeoutMs),
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"run": run.RunID, "alreadyStarted": run.AlreadyStarted}, nil
}

func (d *driver) get(ctx context.Context, c command) (any, error) {
	info, err := d.client.Get(ctx, c.Run)
	if err != nil {
		return nil, err
	}
	got := map[string]any{
		"status": info.Status, "workflow": info.Workflow, "cancelRequested": info.CancelRequested,
	}
	if info.PauseReason != "" {
		got["pauseReason"] = info.PauseReason
	}
	if info.Output.IsSet() {
		var output json.RawMessage
		if err := info.Output.Decode(&output); err != nil {
			return nil, err
		}
		got["output"] = output
	}
	return got, nil
}

func (d *driver) list(ctx context.Context, c command) (any, error) {
	filter := everstep.ListFilter{RunKey: c.RunKey, Workflow: c.Workflow, Queue: c.Queue, Statuses: c.Statuses}
	ids := []string{}
	for run, err := range d.client.List(ctx, filter) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, run.RunID)
	}
	return ids, nil
}

// errResultTimeout is what the other languages call a deadline that the caller of a result has set.
var errResultTimeout = errors.New("RESULT_TIMEOUT")

func (d *driver) result(ctx context.Context, c command) (any, error) {
	if c.TimeoutMs != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, milliseconds(*c.TimeoutMs), errResultTimeout)
		defer cancel()
	}
	var output json.RawMessage
	err := d.client.Result(ctx, c.Run, &output)
	return output, err
}

func (d *driver) watch(ctx context.Context, c command) (any, error) {
	types := []string{}
	for event, err := range d.client.Watch(ctx, c.Run) {
		if err != nil {
			return nil, err
		}
		types = append(types, strings.TrimPrefix(event.GetType().String(), "EVENT_TYPE_"))
	}
	return types, nil
}

func (c command) resolution() (*everstep.Resolution, error) {
	if c.Resolution == nil {
		return nil, nil
	}
	if string(c.Resolution) == `"repeat"` {
		return everstep.RepeatStep(), nil
	}
	var verdict struct {
		Complete json.RawMessage
		Fail     *fail
	}
	if err := json.Unmarshal(c.Resolution, &verdict); err != nil {
		return nil, err
	}
	if verdict.Fail != nil {
		return everstep.FailStep(verdict.Fail.error()), nil
	}
	return everstep.CompleteStep(given(verdict.Complete)), nil
}

// grace turns "none" into what the SDK calls it: a negative one.
func (c command) grace() time.Duration {
	if c.GraceMs == nil {
		return 0
	}
	if *c.GraceMs == 0 {
		return -1
	}
	return milliseconds(*c.GraceMs)
}

func statusOf(info everstep.RunInfo, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return info.Status, nil
}

// given is nil for a value that is absent, which the SDK takes for no value.
func given(value json.RawMessage) any {
	if value == nil {
		return nil
	}
	return value
}
