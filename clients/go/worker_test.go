package everstep_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	everstep "github.com/everstep/everstep/clients/go"
	"github.com/everstep/everstep/clients/go/internal/servertest"
)

// patience is what a fact may take on a machine that is busy with something else.
const patience = 30 * time.Second

// rig is a server process with a client, for one test.
type rig struct {
	t      *testing.T
	server *servertest.Server
	client *everstep.Client
}

func newRig(t *testing.T, options servertest.Options) *rig {
	t.Helper()
	t.Parallel()
	if options.LeaseTTL == "" {
		options.LeaseTTL = "3s"
	}
	server := servertest.New(t, options)
	client, err := everstep.NewClient(everstep.ClientOptions{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &rig{t: t, server: server, client: client}
}

// worker works until the test is over.
func (r *rig) worker(options everstep.WorkerOptions, workflows ...everstep.AnyWorkflow) *everstep.Worker {
	r.t.Helper()
	if options.Address == "" {
		options.Address = r.server.URL
	}
	options.Workflows = workflows
	options.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	worker, err := everstep.NewWorker(options)
	if err != nil {
		r.t.Fatal(err)
	}
	worker.Start()
	r.t.Cleanup(func() {
		if err := worker.Abort(); err != nil {
			r.t.Error(err)
		}
	})
	return worker
}

func (r *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*patience)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) start(workflow string, input any, options ...everstep.StartOptions) *everstep.RunHandle {
	r.t.Helper()
	run, err := r.client.Start(r.context(), workflow, input, options...)
	if err != nil {
		r.t.Fatal(err)
	}
	return run
}

func (r *rig) get(run *everstep.RunHandle) everstep.RunInfo {
	r.t.Helper()
	info, err := run.Get(r.context())
	if err != nil {
		r.t.Fatal(err)
	}
	return info
}

func (r *rig) untilStatus(run *everstep.RunHandle, status everstep.RunStatus) everstep.RunInfo {
	r.t.Helper()
	var info everstep.RunInfo
	until(r.t, func() bool { info = r.get(run); return info.Status == status })
	return info
}

// until waits for a fact.
func until(t *testing.T, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !fact(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come true")
		}
	}
}

func result[T any](r *rig, run *everstep.RunHandle) T {
	r.t.Helper()
	var output T
	if err := run.Result(r.context(), &output); err != nil {
		r.t.Fatal(err)
	}
	return output
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAnOrder(t *testing.T) {
	r := newRig(t, servertest.Options{})
	type order struct{ Cents int }
	flow := everstep.NewWorkflow("order", func(ctx everstep.Context, input order) ([]any, error) {
		charge, err := everstep.Step(ctx, "charge", func(context.Context) (int, error) { return input.Cents, nil })
		if err != nil {
			return nil, err
		}
		by, err := everstep.Signal[string](ctx, "approval", everstep.SignalOptions{Timeout: time.Minute})
		if err != nil {
			return nil, err
		}
		label := everstep.StepAsync(ctx, "label", func(context.Context) (string, error) { return "L", nil })
		mail := everstep.StepAsync(ctx, "mail", func(context.Context) (string, error) { return "M", nil })
		l, err := label.Get(ctx)
		if err != nil {
			return nil, err
		}
		m, err := mail.Get(ctx)
		return []any{charge, by, l, m}, err
	})
	r.worker(everstep.WorkerOptions{}, flow)
	run := r.start("order", order{Cents: 5}, everstep.StartOptions{RunKey: "o-1"})
	r.untilStatus(run, everstep.RunWaiting)
	if why, err := r.client.Explain(r.context(), run.RunID); err != nil || why.Text == "" {
		t.Errorf("explained as %q, %v", why.Text, err)
	}
	if _, err := run.Signal(r.context(), "approval", "ada"); err != nil {
		t.Fatal(err)
	}
	if output := result[[]any](r, run); fmt.Sprint(output) != "[5 ada L M]" {
		t.Errorf("output %v", output)
	}
	info := r.get(run)
	var input order
	if err := info.Input.Decode(&input); err != nil || input.Cents != 5 || info.RunKey != "o-1" || info.ClosedAt.IsZero() {
		t.Errorf("run %+v, %v", info, err)
	}
	var watched, history []int64
	for event, err := range run.Watch(r.context(), everstep.WatchOptions{AfterSeq: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		watched = append(watched, event.GetSeq())
	}
	for event, err := range run.History(r.context()) {
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, event.GetSeq())
	}
	if !slices.Equal(watched, history[2:]) || history[0] != 1 || history[len(history)-1] != int64(len(history)) {
		t.Errorf("watched %v of %v", watched, history)
	}
}

func TestAStartMayBeRepeatedAndATakenKeyHasANamedReason(t *testing.T) {
	r := newRig(t, servertest.Options{})
	options := everstep.StartOptions{RunID: "fixed", RequestID: "r-1", RunKey: "k"}
	first, second := r.start("idle", nil, options), r.start("idle", nil, options)
	if first.AlreadyStarted || !second.AlreadyStarted {
		t.Errorf("already started: %v, %v", first.AlreadyStarted, second.AlreadyStarted)
	}
	_, err := r.client.Start(r.context(), "idle", nil, everstep.StartOptions{RunKey: "k"})
	var refused *everstep.CallRefusedError
	if !errors.As(err, &refused) || refused.Reason() != "RUN_KEY_TAKEN" || refused.Metadata["run_id"] != "fixed" {
		t.Errorf("err %v", err)
	}
	if _, err := r.client.Get(r.context(), "nobody"); everstep.ReasonOf(err) != "RUN_NOT_FOUND" {
		t.Errorf("err %v", err)
	}
	if info, err := first.Terminate(r.context()); err != nil || info.Status != everstep.RunTerminated {
		t.Errorf("terminated as %v, %v", info.Status, err)
	}
	var terminated *everstep.RunTerminatedError
	if err := first.Result(r.context(), nil); !errors.As(err, &terminated) {
		t.Errorf("result %v", err)
	}
	results, err := r.client.StartBatch(r.context(), []everstep.StartRequest{
		{Workflow: "idle", Options: everstep.StartOptions{RunID: "batch-1", RunKey: "b"}},
		{Workflow: "idle", Options: everstep.StartOptions{RunID: "batch-2", RunKey: "b"}},
	})
	if err != nil || results[0].Err != nil || everstep.ReasonOf(results[1].Err) != "RUN_KEY_TAKEN" {
		t.Errorf("batch %v, %v", results, err)
	}
}

type brokenError struct{}

func (brokenError) Error() string { return "still broken" }

func TestExhaustedRetriesFailTheRunWithTheirCausesAndRetryOpensItAgain(t *testing.T) {
	r := newRig(t, servertest.Options{})
	var broken atomic.Bool
	broken.Store(true)
	flow := everstep.NewWorkflow("retried", func(ctx everstep.Context, _ any) (int, error) {
		attempts, err := everstep.Step(ctx, "flaky", func(ctx context.Context) (int, error) {
			if attempt := everstep.AttemptOf(ctx).Attempt; attempt >= 3 {
				return attempt, nil
			}
			return 0, errors.New("not yet")
		}, everstep.StepOptions{Retry: &everstep.RetryOptions{InitialDelay: 10 * time.Millisecond}})
		if err != nil {
			return 0, err
		}
		return attempts, everstep.Do(ctx, "broken", func(context.Context) error {
			if broken.Load() {
				return fmt.Errorf("it is %w", brokenError{})
			}
			return nil
		}, everstep.StepOptions{Retry: &everstep.RetryOptions{MaxAttempts: 1}})
	})
	r.worker(everstep.WorkerOptions{}, flow)
	run := r.start("retried", nil)
	err := run.Result(r.context(), nil)
	var failed *everstep.RunFailedError
	if !errors.As(err, &failed) || failed.Failure.Type != "StepFailed" || !everstep.HasFailureType(err, "brokenError") {
		t.Fatalf("result %v", err)
	}
	broken.Store(false)
	if _, err := run.Retry(r.context()); err != nil {
		t.Fatal(err)
	}
	if attempts := result[int](r, run); attempts != 3 {
		t.Errorf("%d attempts", attempts)
	}
}

func TestASleepSuspendsAndAWaitTimesOut(t *testing.T) {
	r := newRig(t, servertest.Options{})
	flow := everstep.NewWorkflow("sleeper", func(ctx everstep.Context, _ any) (bool, error) {
		if err := everstep.Sleep(ctx, "short", 20*time.Millisecond); err != nil {
			return false, err
		}
		if err := everstep.Sleep(ctx, "long", 1_200*time.Millisecond); err != nil {
			return false, err
		}
		_, err := everstep.Signal[any](ctx, "never", everstep.SignalOptions{NoWait: true})
		var timeout *everstep.SignalTimeoutError
		return errors.As(err, &timeout), nil
	})
	worker := r.worker(everstep.WorkerOptions{}, flow)
	run := r.start("sleeper", nil)
	r.untilStatus(run, everstep.RunWaiting)
	until(t, func() bool { return worker.Health().Held == 0 })
	if !result[bool](r, run) {
		t.Error("the wait did not time out")
	}
}

func TestARunWaitsForMoreRetriesThanASuspendMayName(t *testing.T) {
	r := newRig(t, servertest.Options{})
	const steps = 1_001
	var calls atomic.Int32
	flow := everstep.NewWorkflow("many", func(ctx everstep.Context, _ any) (int, error) {
		retry := &everstep.RetryOptions{Backoff: everstep.Fixed, InitialDelay: time.Hour, MaxAttempts: 2}
		futures := make([]*everstep.Future[int], steps)
		for at := range futures {
			futures[at] = everstep.StepAsync(ctx, fmt.Sprint("s", at), func(context.Context) (int, error) {
				calls.Add(1)
				return 0, errors.New("not yet")
			}, everstep.StepOptions{Retry: retry})
		}
		return futures[0].Get(ctx)
	})
	worker := r.worker(everstep.WorkerOptions{}, flow)
	run := r.start("many", nil)
	var info everstep.RunInfo
	until(t, func() bool {
		info = r.get(run)
		return info.Status == everstep.RunWaiting || info.Status == everstep.RunPaused
	})
	if info.Status != everstep.RunWaiting || calls.Load() != steps {
		t.Errorf("%s (%s) after %d calls", info.Status, info.PauseReason, calls.Load())
	}
	until(t, func() bool { return worker.Health().Held == 0 })
}

func TestACancelEndsTheRunningStepAndCleanupRuns(t *testing.T) {
	r := newRig(t, servertest.Options{})
	var cleaned atomic.Int32
	flow := everstep.NewWorkflow("cancelled", func(ctx everstep.Context, _ any) (any, error) {
		err := everstep.Do(ctx, "work", hang)
		undo := func(context.Context) error { cleaned.Add(1); return nil }
		return nil, errors.Join(err, everstep.Do(ctx, "undo", undo))
	})
	waiting := everstep.NewWorkflow("waiting", func(ctx everstep.Context, _ any) (any, error) {
		return everstep.Signal[any](ctx, "never")
	})
	r.worker(everstep.WorkerOptions{}, flow, waiting)
	for workflow, status := range map[string]everstep.RunStatus{
		"cancelled": everstep.RunRunning, "waiting": everstep.RunWaiting,
	} {
		run := r.start(workflow, nil)
		r.untilStatus(run, status)
		if _, err := run.Cancel(r.context(), everstep.CancelOptions{Reason: "enough"}); err != nil {
			t.Fatal(err)
		}
		var cancelled *everstep.CancelledError
		if err := run.Result(r.context(), nil); !errors.As(err, &cancelled) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", workflow, err)
		}
	}
	if cleaned.Load() != 1 {
		t.Errorf("cleaned up %d times", cleaned.Load())
	}
}

func TestTerminateEndsTheContextAndAPausedRunGoesOn(t *testing.T) {
	r := newRig(t, servertest.Options{})
	var lost atomic.Bool
	doomed := everstep.NewWorkflow("doomed", func(ctx everstep.Context, _ any) (any, error) {
		return nil, everstep.Do(ctx, "work", func(ctx context.Context) error {
			err := hang(ctx)
			var gone *everstep.LeaseLostError
			lost.Store(errors.As(context.Cause(ctx), &gone))
			return err
		})
	})
	begun, finish := make(chan struct{}), make(chan struct{})
	paused := everstep.NewWorkflow("paused", func(ctx everstep.Context, _ any) (int, error) {
		if err := everstep.Do(ctx, "one", func(context.Context) error { close(begun); <-finish; return nil }); err != nil {
			return 0, err
		}
		return everstep.Step(ctx, "two", func(context.Context) (int, error) { return 2, nil })
	})
	r.worker(everstep.WorkerOptions{}, doomed, paused)
	run := r.start("doomed", nil)
	r.untilStatus(run, everstep.RunRunning)
	if _, err := run.Terminate(r.context(), everstep.TerminateOptions{Reason: "no more"}); err != nil {
		t.Fatal(err)
	}
	until(t, lost.Load)

	run = r.start("paused", nil)
	<-begun
	if _, err := r.client.Pause(r.context(), run.RunID); err != nil {
		t.Fatal(err)
	}
	close(finish)
	if info := r.untilStatus(run, everstep.RunPaused); info.StepsCompleted != 1 {
		t.Errorf("%d steps are completed", info.StepsCompleted)
	}
	if _, err := r.client.Resume(r.context(), run.RunID); err != nil {
		t.Fatal(err)
	}
	if result[int](r, run) != 2 {
		t.Error("another result")
	}
}

// calls counts the calls of step functions by name.
type calls struct {
	mutex sync.Mutex
	count map[string]int
}

func (c *calls) add(name string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[name]++
}

func (c *calls) wantOnce(t *testing.T, names int) {
	t.Helper()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.count) != names {
		t.Errorf("%d steps were called, want %d", len(c.count), names)
	}
	for name, count := range c.count {
		if count != 1 {
			t.Errorf("%s was called %d times", name, count)
		}
	}
}

func steady(made *calls, steps int, each time.Duration) *everstep.Workflow[int, int] {
	return everstep.NewWorkflow("steady", func(ctx everstep.Context, input int) (int, error) {
		sum := 0
		for n := range steps {
			value, err := everstep.Step(ctx, fmt.Sprintf("s%d", n), func(ctx context.Context) (int, error) {
				made.add(everstep.AttemptOf(ctx).IdempotencyKey)
				time.Sleep(each)
				return n, nil
			})
			if err != nil {
				return 0, err
			}
			sum += value
		}
		return sum, nil
	})
}

func TestACutStreamHandlersLiveOnAndNothingRunsTwice(t *testing.T) {
	r := newRig(t, servertest.Options{LeaseTTL: "10s"})
	proxy := servertest.NewProxy(t, r.server)
	var made calls
	worker := r.worker(everstep.WorkerOptions{Address: proxy.URL, Capacity: 50}, steady(&made, 20, 10*time.Millisecond))
	runs := make([]*everstep.RunHandle, 50)
	for at := range runs {
		runs[at] = r.start("steady", at)
	}
	for cut := range 3 {
		until(t, func() bool { return worker.Health().Connected && r.get(runs[0]).StepsCompleted > int64(cut) })
		proxy.Cut()
	}
	for _, run := range runs {
		if sum := result[int](r, run); sum != 190 {
			t.Errorf("sum %d", sum)
		}
	}
	made.wantOnce(t, 20*len(runs))
}

func TestAKilledServerHandlersLiveOnUnderTheirLeases(t *testing.T) {
	options := servertest.Options{
		File: filepath.Join(t.TempDir(), "runs.db"), LeaseTTL: "10s", Listen: servertest.SteadyAddress(t),
	}
	r := newRig(t, options)
	var made calls
	r.worker(everstep.WorkerOptions{Capacity: 20}, steady(&made, 12, 50*time.Millisecond))
	runs := make([]*everstep.RunHandle, 20)
	for at := range runs {
		runs[at] = r.start("steady", at)
	}
	until(t, func() bool { return r.get(runs[0]).StepsCompleted > 2 })
	r.server.Kill()
	servertest.New(t, options)
	for _, run := range runs {
		if sum := result[int](r, run); sum != 66 {
			t.Errorf("sum %d", sum)
		}
	}
	made.wantOnce(t, 12*len(runs))
}

func TestAnotherWorkerGoesOnBehindWhatIsRecorded(t *testing.T) {
	r := newRig(t, servertest.Options{})
	var firstCalls atomic.Int32
	flow := everstep.NewWorkflow("taken", func(ctx everstep.Context, _ any) (int64, error) {
		first := func(context.Context) error { firstCalls.Add(1); return nil }
		if err := everstep.Do(ctx, "first", first); err != nil {
			return 0, err
		}
		return everstep.Step(ctx, "second", func(ctx context.Context) (int64, error) {
			if token := everstep.AttemptOf(ctx).FencingToken; token > 1 {
				return token, nil
			}
			return 0, hang(ctx)
		})
	})
	doomed := r.worker(everstep.WorkerOptions{}, flow)
	run := r.start("taken", nil)
	until(t, func() bool { return r.get(run).StepsCompleted == 1 })
	if err := doomed.Abort(); err != nil {
		t.Error(err)
	}
	r.worker(everstep.WorkerOptions{}, flow)
	if token := result[int64](r, run); token != 2 || firstCalls.Load() != 1 {
		t.Errorf("token %d, %d calls", token, firstCalls.Load())
	}
}

func TestCloseGivesRunsBackBetweenSteps(t *testing.T) {
	r := newRig(t, servertest.Options{})
	var made calls
	first := r.worker(everstep.WorkerOptions{}, steady(&made, 30, 10*time.Millisecond))
	run := r.start("steady", 1)
	until(t, func() bool { return r.get(run).StepsCompleted > 2 })
	if err := first.Close(r.context()); err != nil {
		t.Error(err)
	}
	if state, status := first.Health().State, r.get(run).Status; state != everstep.SessionClosed || status != everstep.RunQueued {
		t.Errorf("state %s, status %s", state, status)
	}
	r.worker(everstep.WorkerOptions{}, steady(&made, 30, time.Millisecond))
	if result[int](r, run) != 435 {
		t.Error("another sum")
	}
	made.wantOnce(t, 30)
}

func TestAWorkerLostInsideAStepThatMayRunAtMostOncePausesTheRun(t *testing.T) {
	r := newRig(t, servertest.Options{})
	flow := everstep.NewWorkflow("once", func(ctx everstep.Context, _ any) (string, error) {
		return everstep.Step(ctx, "pay", func(ctx context.Context) (string, error) {
			if everstep.AttemptOf(ctx).FencingToken > 1 {
				return "paid twice", nil
			}
			return "", hang(ctx)
		}, everstep.StepOptions{AtMostOnce: true})
	})
	doomed := r.worker(everstep.WorkerOptions{}, flow)
	run := r.start("once", nil)
	until(t, func() bool { return r.get(run).LastSeq >= 3 })
	if err := doomed.Abort(); err != nil {
		t.Error(err)
	}
	if info := r.untilStatus(run, everstep.RunPaused); info.PauseReason != "UNCERTAIN_EFFECT" {
		t.Errorf("paused for %s", info.PauseReason)
	}
	r.worker(everstep.WorkerOptions{}, flow)
	resolution := everstep.ResumeOptions{Resolution: everstep.CompleteStep("paid once")}
	if _, err := r.client.Resume(r.context(), run.RunID, resolution); err != nil {
		t.Fatal(err)
	}
	if output := result[string](r, run); output != "paid once" {
		t.Errorf("output %s", output)
	}
}

func TestAWorkerThatFindsNoServerSaysSoAndCanBeClosed(t *testing.T) {
	flow := everstep.NewWorkflow("late", func(everstep.Context, any) (any, error) { return nil, nil })
	lonely := (&rig{t: t}).worker(everstep.WorkerOptions{Address: "http://127.0.0.1:1"}, flow)
	until(t, func() bool { return lonely.Health().LastError != "" })
	if health := lonely.Health(); health.Connected || health.Held != 0 {
		t.Errorf("health %+v", health)
	}
	if err := lonely.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAWrongKeyIsTriedAgainSlowlyAndLoudly(t *testing.T) {
	server := servertest.New(t, servertest.Options{APIKey: "the-right-key-of-this-test"})
	flow := everstep.NewWorkflow("locked", func(everstep.Context, any) (string, error) { return "in", nil })
	var log strings.Builder
	var mutex sync.Mutex
	worker, err := everstep.NewWorker(everstep.WorkerOptions{
		Address: server.URL, APIKey: "wrong", Workflows: []everstep.AnyWorkflow{flow},
		Logger: slog.New(slog.NewTextHandler(lockedWriter{&mutex, &log}, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	worker.Start()
	defer worker.Abort()
	until(t, func() bool { return worker.Health().State == everstep.SessionWaiting })
	mutex.Lock()
	said := log.String()
	mutex.Unlock()
	var reconnectMs int
	if _, after, ok := strings.Cut(said, "reconnect_ms="); ok {
		_, _ = fmt.Sscanf(after, "%d", &reconnectMs)
	}
	if !strings.Contains(said, "level=ERROR") || !strings.Contains(said, "Unauthenticated") || reconnectMs < 30_000 {
		t.Errorf("it logs %s", said)
	}
	client, err := everstep.NewClient(everstep.ClientOptions{Address: server.URL, APIKey: "the-right-key-of-this-test"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Start(t.Context(), "locked", nil); err != nil {
		t.Errorf("the right key: %v", err)
	}
}

type lockedWriter struct {
	mutex *sync.Mutex
	to    io.Writer
}

func (w lockedWriter) Write(text []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.to.Write(text)
}

// goroutines counts those that have a function of the SDK or of its transport on their stack.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	count := 0
	for _, stack := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "everstep/clients/go.") || strings.Contains(stack, "google.golang.org/grpc") {
			count++
		}
	}
	return count
}

func TestNoGoroutineIsLeftAfterClose(t *testing.T) {
	server := servertest.New(t, servertest.Options{LeaseTTL: "3s"})
	before := goroutines()
	for _, end := range []func(*everstep.Worker) error{
		func(w *everstep.Worker) error { return w.Close(t.Context()) },
		func(w *everstep.Worker) error {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			return w.Close(ctx)
		},
		(*everstep.Worker).Abort,
	} {
		var working atomic.Bool
		busy := everstep.NewWorkflow("busy", func(ctx everstep.Context, _ any) (any, error) {
			return nil, everstep.Parallel(ctx,
				func(ctx everstep.Context) error { return everstep.Sleep(ctx, "nap", time.Hour) },
				func(ctx everstep.Context) error {
					return everstep.Do(ctx, "work", func(ctx context.Context) error {
						working.Store(true)
						select {
						case <-time.After(300 * time.Millisecond):
						case <-ctx.Done():
						}
						return ctx.Err()
					})
				})
		})
		worker, err := everstep.NewWorker(everstep.WorkerOptions{
			Address: server.URL, Workflows: []everstep.AnyWorkflow{busy}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		worker.Start()
		client, err := everstep.NewClient(everstep.ClientOptions{Address: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		run, err := busy.Start(t.Context(), client, nil)
		if err != nil {
			t.Fatal(err)
		}
		until(t, working.Load)
		if goroutines() <= before {
			t.Fatal("a running worker shows no goroutine: this test does not see them")
		}
		if err := end(worker); err != nil {
			t.Error(err)
		}
		if _, err := run.Terminate(t.Context()); err != nil {
			t.Error(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		// The transport ends its own goroutines a moment after it was closed.
		until(t, func() bool { return goroutines() <= before })
	}
}
