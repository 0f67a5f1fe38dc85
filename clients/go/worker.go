package everstep

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/everstep/everstep/clients/go/internal/chance"
)

// WorkerOptions say what a worker runs and for whom. Only Workflows is needed.
type WorkerOptions struct {
	// Address is for example "http://127.0.0.1:7420"; https means TLS. Default: EVERSTEP_ADDRESS, else that one.
	Address string
	// APIKey is EVERSTEP_API_KEY by default, else none.
	APIKey string
	// TLSCAFile holds the certificates to trust, for a server with a certificate of its own.
	TLSCAFile string
	// Workflows that it can run.
	Workflows []AnyWorkflow
	// Queues that it serves; default: "default".
	Queues []string
	// Capacity is how many runs it works on at the same time; default 10. Suspended runs do not count. A worker that
	// begins with none takes Paused.
	Capacity int
	// Paused begins with a capacity of 0, until SetCapacity.
	Paused bool
	// Namespace is EVERSTEP_NAMESPACE by default, else "default".
	Namespace string
	// Codec is JSON by default.
	Codec Codec
	// Identity is a name for people; default: "host/pid".
	Identity string
	// BuildID is the version of the workflow code, shown to operators.
	BuildID string
	// Logger is slog.Default() by default.
	Logger *slog.Logger
	// DrainTimeout is what Run gives running steps after its context has ended; default 30 s.
	DrainTimeout time.Duration
}

// Worker runs workflows: connects, gets leases pushed, and goes on for ever until it is closed.
type Worker struct {
	session      *session
	drainTimeout time.Duration
	start        sync.Once
	started      atomic.Bool
	closing      sync.Once
}

// NewWorker checks the options. Nothing happens before Start or Run.
func NewWorker(options WorkerOptions) (*Worker, error) {
	endpoint, err := newEndpoint(options.Address, options.APIKey, options.TLSCAFile)
	if err != nil {
		return nil, err
	}
	transport := &grpcTransport{endpoint: endpoint}
	worker, err := newWorker(options, transport, chance.Float64)
	if err != nil {
		return nil, err
	}
	transport.loop = worker.session.loop
	return worker, nil
}

func newWorker(options WorkerOptions, t transport, random func() float64) (*Worker, error) {
	bodies := map[string]runBody{}
	for _, workflow := range options.Workflows {
		name := workflow.Name()
		if err := checkName("a workflow's name", name); err != nil {
			return nil, err
		}
		if bodies[name] != nil {
			return nil, &InvalidArgumentError{message: fmt.Sprintf("workflow %q is given twice", name)}
		}
		bodies[name] = workflow.body()
	}
	if len(bodies) == 0 {
		return nil, &InvalidArgumentError{message: "a worker needs at least one workflow"}
	}
	capacity := options.Capacity
	if capacity == 0 && !options.Paused {
		capacity = capacityDefault
	}
	if err := checkCapacity(capacity); err != nil {
		return nil, err
	}
	chosen := sessionOptions{
		instanceID: newID(),
		identity:   nonEmpty(options.Identity, systemIdentity()),
		buildID:    options.BuildID,
		namespace:  nonEmpty(options.Namespace, os.Getenv("EVERSTEP_NAMESPACE")),
		queues:     options.Queues,
		bodies:     bodies,
		capacity:   capacity,
		codec:      codecOrDefault(options.Codec),
		log:        options.Logger,
	}
	if len(chosen.queues) == 0 {
		chosen.queues = []string{"default"}
	}
	if chosen.log == nil {
		chosen.log = slog.Default()
	}
	drainTimeout := options.DrainTimeout
	if drainTimeout == 0 {
		drainTimeout = drainTimeoutDefault
	}
	return &Worker{session: newSession(t, random, chosen), drainTimeout: drainTimeout}, nil
}

// Start begins to work and returns; Close or Abort ends it. A second call changes nothing.
func (w *Worker) Start() {
	w.start.Do(func() {
		w.session.start()
		w.started.Store(true)
	})
}

// Run works until ctx ends, then drains for up to DrainTimeout. It returns what Close does. Give it a context that ends
// at SIGTERM (signal.NotifyContext), and a deployment loses no work.
func (w *Worker) Run(ctx context.Context) error {
	w.Start()
	if !w.wasStarted() {
		return nil
	}
	select {
	case <-ctx.Done():
	case <-w.session.loop.over:
		return nil
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.drainTimeout)
	defer cancel()
	return w.Close(closing)
}

// Close takes no more work, lets running steps finish, gives the runs back, says goodbye and ends. Steps that still run
// when ctx ends are aborted and run again elsewhere. When Close has returned nil, no goroutine of the worker is left; its
// error counts the functions that go on although their context has ended. A worker that was closed cannot be started.
func (w *Worker) Close(ctx context.Context) error {
	if !w.wasStarted() {
		return nil
	}
	w.closing.Do(func() { w.session.drain(ctx) })
	return w.unwound()
}

// Abort ends at once: the contexts of step functions end, and their runs go on elsewhere when their leases have ended.
func (w *Worker) Abort() error {
	if !w.wasStarted() {
		return nil
	}
	w.session.close()
	return w.unwound()
}

// wasStarted is false for a worker that never was; then it never will be.
func (w *Worker) wasStarted() bool {
	w.start.Do(func() {})
	return w.started.Load()
}

// unwound waits for the goroutines of streams, branches and step functions, all of which were told to end.
func (w *Worker) unwound() error {
	<-w.session.loop.over
	ended := make(chan struct{})
	go func() {
		w.session.loop.routines.Wait()
		close(ended)
	}()
	patience := time.NewTimer(unwindTimeout)
	defer patience.Stop()
	select {
	case <-ended:
		return nil
	case <-patience.C:
		return fmt.Errorf("everstep: the worker is closed, but %d functions go on although their context has ended",
			w.session.functionsRunning.Load())
	}
}

// SetCapacity changes how many runs it works on at the same time; 0 takes no more.
func (w *Worker) SetCapacity(capacity int) error {
	if err := checkCapacity(capacity); err != nil {
		return err
	}
	change := func() {
		w.session.setCapacity(capacity)
		w.session.publishHealth()
	}
	if w.started.Load() {
		w.session.loop.ask(change)
	} else {
		w.session.loop.post(change) // it comes before the Hello
	}
	return nil
}

// Health says how the worker is, for probes.
func (w *Worker) Health() Health {
	return *w.session.health.Load()
}

// systemIdentity tells people where to look when a worker misbehaves.
func systemIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

func checkCapacity(capacity int) error {
	if capacity < 0 || capacity > capacityMax {
		return &InvalidArgumentError{message: fmt.Sprintf("capacity is a number from 0 to %d, not %d", capacityMax, capacity)}
	}
	return nil
}

func checkName(what, name string) error {
	if name == "" || len(name) > nameBytesMax {
		return &InvalidArgumentError{message: fmt.Sprintf("%s is a text of 1 to %d bytes", what, nameBytesMax)}
	}
	return nil
}

func codecOrDefault(codec Codec) Codec {
	if codec == nil {
		return JSONCodec{}
	}
	return codec
}
