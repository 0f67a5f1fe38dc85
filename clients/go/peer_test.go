package everstep

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// peer is a scripted server for session tests: streams without a network, virtual time (testing/synctest), and answers
// that a test writes out.
type peer struct {
	t        *testing.T
	worker   *Worker
	settings *pb.SessionSettings

	mutex   sync.Mutex
	frames  []*pb.WorkerFrame
	streams int
	current *peerStream
	// answer of the next ops; nil answers nothing. Default: all applied.
	answer func(op *pb.Op, index int) *pb.OpResult
	// kept is the verdict about a held lease.
	kept bool
	// mute: the server says nothing any more; deaf: it acknowledges no beat.
	mute bool
	deaf bool
}

// withPeer runs a test under virtual time. When it ends no goroutine of the worker may be left.
func withPeer(t *testing.T, test func(t *testing.T, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, &peer{
			t: t, answer: applied, kept: true,
			settings: &pb.SessionSettings{LeaseTtlMs: 30_000, BeatIntervalMs: 10_000, WatchdogMs: 25_000},
		})
	})
}

func (p *peer) start(options WorkerOptions, workflows ...AnyWorkflow) {
	p.t.Helper()
	options.Workflows = workflows
	options.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	worker, err := newWorker(options, p, func() float64 { return 0.5 })
	if err != nil {
		p.t.Fatal(err)
	}
	p.worker = worker
	p.t.Cleanup(func() {
		if err := worker.Abort(); err != nil {
			p.t.Error(err)
		}
	})
	worker.Start()
	synctest.Wait()
}

// run starts a worker with one workflow, assigns one run of it, and lets it go as far as it can.
func (p *peer) run(workflow AnyWorkflow, with *pb.Assignment) {
	p.t.Helper()
	p.start(WorkerOptions{}, workflow)
	p.assign(1, workflow.Name(), with)
}

// advance lets virtual time pass, and everything happen that it brings.
func (p *peer) advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (p *peer) permanent(error) bool { return false }

func (p *peer) open(events streamEvents) frameStream {
	stream := &peerStream{peer: p, events: events, frames: make(chan *pb.WorkerFrame, 4_096), over: make(chan struct{})}
	p.mutex.Lock()
	p.streams++
	p.current = stream
	p.mutex.Unlock()
	p.worker.session.loop.spawn(stream.serve)
	return stream
}

type peerStream struct {
	peer   *peer
	events streamEvents
	frames chan *pb.WorkerFrame
	ending sync.Once
	over   chan struct{}
}

func (s *peerStream) send(frame *pb.WorkerFrame) { s.frames <- frame }
func (s *peerStream) busy() bool                 { return false }
func (s *peerStream) finish()                    { s.frames <- nil }
func (s *peerStream) abort()                     { s.ending.Do(func() { close(s.over) }) }

func (s *peerStream) serve() {
	for {
		select {
		case <-s.over:
			return
		case frame := <-s.frames:
			if frame == nil {
				s.events.ended(nil)
				return
			}
			if reply := s.peer.take(frame); reply != nil {
				s.events.received(reply)
			}
		}
	}
}

// take records a frame and says what the server replies; nil for nothing.
func (p *peer) take(frame *pb.WorkerFrame) *pb.ServerFrame {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.frames = append(p.frames, frame)
	if p.mute {
		return nil
	}
	switch of := frame.GetFrame().(type) {
	case *pb.WorkerFrame_Hello:
		return p.welcome(of.Hello)
	case *pb.WorkerFrame_Beat:
		if p.deaf {
			return nil
		}
		return &pb.ServerFrame{Frame: &pb.ServerFrame_BeatAck{BeatAck: &pb.BeatAck{BeatSeq: of.Beat.GetBeatSeq()}}}
	case *pb.WorkerFrame_Drain:
		return &pb.ServerFrame{Frame: &pb.ServerFrame_DrainAck{DrainAck: &pb.DrainAck{}}}
	case *pb.WorkerFrame_Ops:
		return p.opResults(of.Ops.GetOps())
	default:
		return nil
	}
}

func (p *peer) welcome(hello *pb.Hello) *pb.ServerFrame {
	welcome := &pb.Welcome{SessionId: "session-1", ResumeToken: []byte{1}, Settings: p.settings}
	for _, held := range hello.GetHeld() {
		welcome.Verdicts = append(welcome.Verdicts, &pb.Verdict{LeaseId: held.GetLease().GetLeaseId(), Kept: p.kept})
	}
	return &pb.ServerFrame{Frame: &pb.ServerFrame_Welcome{Welcome: welcome}}
}

func (p *peer) opResults(ops []*pb.Op) *pb.ServerFrame {
	results := &pb.OpResults{}
	for index, op := range ops {
		if result := p.answer(op, index); result != nil {
			result.OpId, result.LeaseId = op.GetOpId(), op.GetLease().GetLeaseId()
			results.Results = append(results.Results, result)
		}
	}
	return &pb.ServerFrame{Frame: &pb.ServerFrame_OpResults{OpResults: results}}
}

// say sends a frame of the server and lets the worker work it off.
func (p *peer) say(frame *pb.ServerFrame) {
	p.mutex.Lock()
	stream := p.current
	p.mutex.Unlock()
	stream.events.received(frame)
	synctest.Wait()
}

func (p *peer) cut() {
	p.mutex.Lock()
	stream := p.current
	p.mutex.Unlock()
	stream.events.ended(errors.New("cut"))
	synctest.Wait()
}

func (p *peer) setAnswer(answer func(op *pb.Op, index int) *pb.OpResult) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.answer = answer
}

func (p *peer) streamCount() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.streams
}

func (p *peer) forget() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.frames = nil
}

func leaseIDOf(run int) []byte { return []byte(strings.Repeat(string(rune('@'+run)), 16)) }

// assign grants run number n of a workflow; with may be nil.
func (p *peer) assign(n int, workflow string, with *pb.Assignment) {
	if with == nil {
		with = &pb.Assignment{}
	}
	with.Lease = &pb.Lease{RunId: "run-" + string(rune('0'+n)), LeaseId: leaseIDOf(n), Epoch: 7}
	with.Namespace, with.Workflow, with.JournalThrough = "default", workflow, 2
	p.say(&pb.ServerFrame{Frame: &pb.ServerFrame_Assign{Assign: &pb.Assign{Assignments: []*pb.Assignment{with}}}})
}

func (p *peer) notice(run int, notice *pb.Notice) {
	notice.LeaseId = leaseIDOf(run)
	p.say(&pb.ServerFrame{Frame: &pb.ServerFrame_Notices{Notices: &pb.Notices{Notices: []*pb.Notice{notice}}}})
}

func (p *peer) sent() []*pb.WorkerFrame {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.Clone(p.frames)
}

func (p *peer) ops() []*pb.Op {
	var ops []*pb.Op
	for _, frame := range p.sent() {
		ops = append(ops, frame.GetOps().GetOps()...)
	}
	return ops
}

// kinds of all frames that were sent.
func (p *peer) kinds() []string {
	var kinds []string
	for _, frame := range p.sent() {
		message := frame.ProtoReflect()
		kinds = append(kinds, string(message.WhichOneof(message.Descriptor().Oneofs().ByName("frame")).Name()))
	}
	return kinds
}

// changes that were sent, as "kind:key".
func (p *peer) changes() []string {
	changes := []string{}
	for _, op := range p.ops() {
		for _, change := range op.GetChanges() {
			changes = append(changes, nameOf(change))
		}
	}
	return changes
}

func nameOf(change *pb.Change) string {
	message := change.ProtoReflect()
	field := message.WhichOneof(message.Descriptor().Oneofs().ByName("change"))
	inner := message.Get(field).Message()
	name := string(field.Name())
	if key := inner.Descriptor().Fields().ByName("step_key"); key != nil {
		name += ":" + inner.Get(key).String()
	}
	return name
}

// last change that has what pick looks for.
func last[T any](p *peer, pick func(*pb.Change) *T) *T {
	ops := p.ops()
	for _, op := range slices.Backward(ops) {
		for _, change := range op.GetChanges() {
			if found := pick(change); found != nil {
				return found
			}
		}
	}
	p.t.Helper()
	p.t.Fatalf("no such change among %v", p.changes())
	return nil
}

func (p *peer) wantChanges(want ...string) {
	p.t.Helper()
	if got := p.changes(); !slices.Equal(got, want) {
		p.t.Errorf("changes\n got %v\nwant %v", got, want)
	}
}

// wantOutput checks the run's output, as JSON.
func (p *peer) wantOutput(want string) {
	p.t.Helper()
	output := last(p, (*pb.Change).GetCompleteRun).GetOutput()
	if output.GetJson() != want {
		p.t.Errorf("output %s, want %s", output.GetJson(), want)
	}
}

func applied(op *pb.Op, _ int) *pb.OpResult { return appliedWith(nil) }

func appliedWith(outcome *pb.ChangeResult) *pb.OpResult {
	done := &pb.OpApplied{}
	if outcome != nil {
		done.Results = []*pb.ChangeResult{outcome}
	}
	return &pb.OpResult{Result: &pb.OpResult_Applied{Applied: done}}
}

func drop(*pb.Op, int) *pb.OpResult { return nil }

func refusedWith(refusal *pb.OpRefusal) *pb.OpResult {
	return &pb.OpResult{Result: &pb.OpResult_Refused{Refused: refusal}}
}

func jsonPayload(value any) *pb.Payload {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return &pb.Payload{Data: &pb.Payload_Json{Json: string(text)}}
}

func completedEntry(key string, value any) *pb.JournalEntry {
	completed := &pb.JournalCompleted{Output: jsonPayload(value)}
	return &pb.JournalEntry{StepKey: key, Entry: &pb.JournalEntry_Completed{Completed: completed}}
}

func timerEntry(key string, delayMs int64) *pb.JournalEntry {
	return &pb.JournalEntry{StepKey: key, Entry: &pb.JournalEntry_Timer{Timer: &pb.JournalTimer{DelayMs: delayMs}}}
}

func firedEntry(key string) *pb.JournalEntry {
	return &pb.JournalEntry{StepKey: key, Entry: &pb.JournalEntry_TimerFired{TimerFired: &pb.JournalTimerFired{}}}
}
