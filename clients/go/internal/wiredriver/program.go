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

// instruction is one of the program's; a field belongs to the ops that name it.
type instruction struct {
	Op        string
	Key       string
	Ms        int64
	Name      string
	TimeoutMs *int64
	Branches  [][]instruction
	Times     int
	Do        []instruction
	Value     json.RawMessage
	Of        string

	Retry      *retry
	AtMostOnce bool
	Input      json.RawMessage

	BusyMs       int64
	Hold         bool
	Stubborn     bool
	Fail         *fail
	FailAttempts *int
	ResultOf     string
	Bytes        int
	Result       json.RawMessage

	// The op fail says what it fails with in its own fields.
	fail
}

type retry struct {
	MaxAttempts       *int
	Backoff           string
	InitialDelayMs    *int64
	Factor            float64
	MaxDelayMs        int64
	DelaysMs          []int64
	Jitter            float64
	MaxElapsedMs      int64
	NonRetryableTypes []string
}

type programInput struct{ Do []instruction }

// program is the workflow whose input says what it does.
func program(holds *holds, facts *facts) *everstep.Workflow[programInput, []any] {
	return everstep.NewWorkflow("program", func(ctx everstep.Context, input programInput) ([]any, error) {
		facts.chat(map[string]any{"fact": "begin", "run": ctx.RunID(), "token": ctx.FencingToken()})
		p := &player{holds: holds, facts: facts}
		values, err := p.all(ctx, input.Do)
		end := map[string]any{"fact": "end", "run": ctx.RunID(), "ok": err == nil}
		if err != nil {
			end["error"] = errorOf(err)
		}
		facts.chat(end)
		return values, err
	})
}

type player struct {
	holds *holds
	facts *facts
}

func (p *player) all(ctx everstep.Context, instructions []instruction) ([]any, error) {
	values := make([]any, 0, len(instructions))
	for _, each := range instructions {
		value, err := p.one(ctx, each)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

func (p *player) one(ctx everstep.Context, i instruction) (any, error) {
	switch i.Op {
	case "step":
		return p.step(ctx, i)
	case "sleep":
		return nil, everstep.Sleep(ctx, i.Key, milliseconds(i.Ms))
	case "signal":
		return p.signal(ctx, i)
	case "parallel":
		return p.parallel(ctx, i)
	case "loop":
		rounds := []any{}
		for range i.Times {
			values, err := p.all(ctx, i.Do)
			if err != nil {
				return nil, err
			}
			rounds = append(rounds, values)
		}
		return rounds, nil
	case "catch":
		values, err := p.all(ctx, i.Do)
		if err == nil {
			return map[string]any{"ok": values}, nil
		}
		caught := errorOf(err)
		p.facts.say(map[string]any{"fact": "caught", "run": ctx.RunID(), "error": caught})
		return map[string]any{"caught": caught}, nil
	case "fail":
		return nil, i.fail.error()
	case "value":
		return i.Value, nil
	case "fact":
		return factOf(ctx, i.Of)
	default:
		return nil, fmt.Errorf("there is no instruction %q", i.Op)
	}
}

func (p *player) signal(ctx everstep.Context, i instruction) (any, error) {
	options := everstep.SignalOptions{Key: i.Key}
	if i.TimeoutMs != nil {
		options.Timeout, options.NoWait = milliseconds(*i.TimeoutMs), *i.TimeoutMs == 0
	}
	value, err := everstep.Signal[json.RawMessage](ctx, i.Name, options)
	var timeout *everstep.SignalTimeoutError
	if errors.As(err, &timeout) {
		return map[string]any{"timedOut": true}, nil
	}
	return value, err
}

func (p *player) parallel(ctx everstep.Context, i instruction) (any, error) {
	futures := make([]*everstep.Future[[]any], len(i.Branches))
	for at, branch := range i.Branches {
		futures[at] = everstep.Go(ctx, func(ctx everstep.Context) ([]any, error) { return p.all(ctx, branch) })
	}
	values := make([]any, len(futures))
	var first error
	for at, future := range futures {
		value, err := future.Get(ctx)
		if err != nil && first == nil {
			first = err
		}
		values[at] = value
	}
	return values, first
}

func factOf(ctx everstep.Context, name string) (any, error) {
	switch name {
	case "runId":
		return ctx.RunID(), nil
	case "runKey":
		return ctx.RunKey(), nil
	case "namespace":
		return ctx.Namespace(), nil
	case "workflow":
		return ctx.Workflow(), nil
	case "fencingToken":
		return ctx.FencingToken(), nil
	case "stepKeys":
		return ctx.StepKeys(), nil
	default:
		return nil, fmt.Errorf("there is no fact %q", name)
	}
}

func (p *player) step(ctx everstep.Context, i instruction) (any, error) {
	options := everstep.StepOptions{Retry: i.Retry.options(), AtMostOnce: i.AtMostOnce, Input: given(i.Input)}
	if i.TimeoutMs != nil {
		options.Timeout = milliseconds(*i.TimeoutMs)
	}
	return everstep.Step(ctx, i.Key, func(ctx context.Context) (any, error) { return p.call(ctx, i) }, options)
}

// call is the step function.
func (p *player) call(ctx context.Context, i instruction) (any, error) {
	attempt := everstep.AttemptOf(ctx)
	p.facts.chat(map[string]any{
		"fact": "step", "run": attempt.RunID, "key": attempt.StepKey, "attempt": attempt.Attempt, "token": attempt.FencingToken,
	})
	for end := time.Now().Add(milliseconds(i.BusyMs)); time.Now().Before(end); {
	}
	switch {
	case i.Hold:
		return p.holds.wait(ctx, attempt.RunID, attempt.StepKey, i.Result, func(cause error) bool {
			p.facts.say(map[string]any{
				"fact": "aborted", "run": attempt.RunID, "key": attempt.StepKey, "reason": everstep.ReasonOf(cause),
			})
			return !i.Stubborn
		})
	case i.Fail != nil && (i.FailAttempts == nil || attempt.Attempt <= *i.FailAttempts):
		return nil, i.Fail.error()
	case i.ResultOf != "":
		return resultOf(attempt, i.ResultOf)
	case i.Bytes > 0:
		return strings.Repeat("x", i.Bytes-2), nil
	default:
		return i.Result, nil
	}
}

func resultOf(attempt everstep.StepAttempt, name string) (any, error) {
	switch name {
	case "attempt":
		return attempt.Attempt, nil
	case "fencingToken":
		return attempt.FencingToken, nil
	case "idempotencyKey":
		return attempt.IdempotencyKey, nil
	case "runId":
		return attempt.RunID, nil
	case "stepKey":
		return attempt.StepKey, nil
	default:
		return nil, fmt.Errorf("there is no fact %q of an attempt", name)
	}
}

var backoffs = map[string]everstep.Backoff{
	"fixed": everstep.Fixed, "linear": everstep.Linear, "exponential": everstep.Exponential,
}

func (r *retry) options() *everstep.RetryOptions {
	if r == nil {
		return nil
	}
	options := &everstep.RetryOptions{
		Backoff: backoffs[r.Backoff], Factor: r.Factor, MaxDelay: milliseconds(r.MaxDelayMs), Jitter: r.Jitter,
		MaxElapsed: milliseconds(r.MaxElapsedMs), NonRetryableTypes: r.NonRetryableTypes,
	}
	if r.MaxAttempts != nil {
		options.MaxAttempts = *r.MaxAttempts
		if *r.MaxAttempts == 0 {
			options.MaxAttempts = everstep.Unlimited
		}
	}
	if r.InitialDelayMs != nil {
		options.InitialDelay = milliseconds(*r.InitialDelayMs)
		if *r.InitialDelayMs == 0 {
			options.Delays = []time.Duration{0}
		}
	}
	for _, delay := range r.DelaysMs {
		options.Delays = append(options.Delays, milliseconds(delay))
	}
	return options
}
