package main

import (
	"context"
	"encoding/json"
	"sync"
)

// outcome is how the command finish lets a step function go.
type outcome struct {
	result json.RawMessage
	fail   *fail
}

type holdKey struct{ run, step string }

// holds are the step functions that wait for the command finish.
type holds struct {
	mutex sync.Mutex
	open  map[holdKey]chan outcome
}

func newHolds() *holds { return &holds{open: map[holdKey]chan outcome{}} }

// wait returns when it is let go, or with the cause of ctx when that has ended and aborted says that this counts. The
// newest hold of a step is the one that finish lets go.
func (h *holds) wait(ctx context.Context, run, step string, otherwise json.RawMessage, aborted func(cause error) bool) (json.RawMessage, error) {
	key := holdKey{run, step}
	mine := make(chan outcome, 1)
	h.mutex.Lock()
	h.open[key] = mine
	h.mutex.Unlock()
	select {
	case end := <-mine:
		return end.or(otherwise)
	case <-ctx.Done():
	}
	if aborted(context.Cause(ctx)) {
		h.forget(key, mine)
		return nil, context.Cause(ctx)
	}
	return (<-mine).or(otherwise)
}

func (o outcome) or(otherwise json.RawMessage) (json.RawMessage, error) {
	switch {
	case o.fail != nil:
		return nil, o.fail.error()
	case o.result != nil:
		return o.result, nil
	default:
		return otherwise, nil
	}
}

func (h *holds) forget(key holdKey, mine chan outcome) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.open[key] == mine {
		delete(h.open, key)
	}
}

func (h *holds) finish(run, step string, how outcome) bool {
	key := holdKey{run, step}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	held, ok := h.open[key]
	if ok {
		delete(h.open, key)
		held <- how
	}
	return ok
}
