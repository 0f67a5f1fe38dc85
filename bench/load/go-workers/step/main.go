// A raw client of the stream: no workflow code, just leases and ops, as fast as answers come. Each run gets its steps
// one after the other and then ends. Prints, some times a second, a JSON line with the steps and runs it has finished
// and the latencies since the last line on its input.
// step URL CAPACITY STEPS_PER_RUN
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

const (
	// What one frame may carry; the SDKs send no more either.
	frameOpsMax  = 1024
	beatInterval = 10 * time.Second
	reportEvery  = 20 * time.Millisecond
)

// liveRun has one op, filled anew for each step: what was sent is encoded by then.
type liveRun struct {
	lease  *pb.Lease
	steps  int
	sentAt time.Time
	op     *pb.Op
	step   *pb.StepCompletion
}

type worker struct {
	stream      grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse]
	stepsPerRun int
	output      *pb.Payload
	keys        []string
	runs        map[string]*liveRun
	ops         []*pb.Op
	accepted    []*pb.Lease
	beatAt      time.Time
	beatSeq     int64

	tally tally
}

// tally is what the reports tell: written by the stream, read by the reporter.
type tally struct {
	mutex    sync.Mutex
	steps    int
	finished int
	counts   [1024]int
	total    int
}

// record counts a latency in buckets of about two percent.
func (t *tally) record(took time.Duration) {
	ms := max(float64(took.Nanoseconds())/1e6, 0.001)
	bucket := min(1023, int(math.Round(math.Log(ms/0.001)/math.Log(1.02))))
	t.counts[bucket]++
	t.total++
}

func (t *tally) quantileMs(q float64) float64 {
	seen := 0
	for bucket, count := range t.counts {
		seen += count
		if t.total > 0 && float64(seen) >= q*float64(t.total) {
			return 0.001 * math.Pow(1.02, float64(bucket))
		}
	}
	return 0
}

func main() {
	// What the client spends on collecting garbage the server lacks: both share two cores.
	debug.SetGCPercent(1_000)
	address := strings.TrimPrefix(os.Args[1], "http://")
	number, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	capacity := int32(number)
	stepsPerRun, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		log.Fatal(err)
	}
	stream, err := pb.NewWorkerServiceClient(connection).Session(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	w := &worker{
		stream:      stream,
		stepsPerRun: stepsPerRun,
		output:      &pb.Payload{Data: &pb.Payload_Json{Json: `"twenty bytes of step"`}},
		runs:        map[string]*liveRun{},
		beatAt:      time.Now().Add(beatInterval),
	}
	for step := range stepsPerRun {
		w.keys = append(w.keys, fmt.Sprintf("s%d", step+1))
	}
	w.push(&pb.WorkerFrame{Frame: &pb.WorkerFrame_Hello{Hello: &pb.Hello{
		ProtocolVersion: 1, WorkerInstanceId: fmt.Sprintf("bench-go-%d", os.Getpid()), Identity: "bench", Sdk: "raw",
		Queues: []string{"default"}, Workflows: []string{"bench"}, Capacity: &capacity,
	}}})
	go w.report()
	go w.resetByLine()
	for {
		response, err := stream.Recv()
		if err != nil {
			log.Fatal(err)
		}
		w.read(response.GetFrame())
	}
}

func (w *worker) report() {
	output := json.NewEncoder(os.Stdout)
	for range time.Tick(reportEvery) {
		t := &w.tally
		t.mutex.Lock()
		line := map[string]any{
			"steps": t.steps, "finished": t.finished, "p50Ms": t.quantileMs(0.5), "p99Ms": t.quantileMs(0.99),
		}
		t.mutex.Unlock()
		// Whoever reads has gone when this fails.
		if output.Encode(line) != nil {
			os.Exit(0)
		}
	}
}

// resetByLine begins the latencies anew with each line of the input, and ends the program with it.
func (w *worker) resetByLine() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		w.tally.mutex.Lock()
		w.tally.counts, w.tally.total = [1024]int{}, 0
		w.tally.mutex.Unlock()
	}
	os.Exit(0)
}

func (w *worker) read(frame *pb.ServerFrame) {
	switch got := frame.GetFrame().(type) {
	case *pb.ServerFrame_Assign:
		for _, assignment := range got.Assign.GetAssignments() {
			run := w.newRun(assignment.GetLease())
			w.runs[string(run.lease.GetLeaseId())] = run
			w.accepted = append(w.accepted, run.lease)
			w.next(run, time.Now())
		}
	case *pb.ServerFrame_OpResults:
		w.results(got.OpResults.GetResults())
	case *pb.ServerFrame_FrameRefused:
		log.Fatal(got.FrameRefused.GetMessage())
	}
	w.flush()
}

func (w *worker) results(results []*pb.OpResult) {
	now := time.Now()
	w.tally.mutex.Lock()
	defer w.tally.mutex.Unlock()
	for _, result := range results {
		if refused := result.GetRefused(); refused != nil {
			log.Fatal(refused)
		}
		run := w.runs[string(result.GetLeaseId())]
		switch {
		case run == nil:
		case run.steps > w.stepsPerRun:
			delete(w.runs, string(result.GetLeaseId()))
			w.tally.finished++
		default:
			w.tally.steps++
			w.tally.record(now.Sub(run.sentAt))
			w.next(run, now)
		}
	}
}

func (w *worker) newRun(lease *pb.Lease) *liveRun {
	step := &pb.StepCompletion{Output: w.output, ElapsedMs: 1}
	change := &pb.Change{Change: &pb.Change_CompleteStep{CompleteStep: step}}
	return &liveRun{lease: lease, step: step, op: &pb.Op{Lease: lease, Changes: []*pb.Change{change}}}
}

// next sends the run's next step, or its end behind the last one.
func (w *worker) next(run *liveRun, now time.Time) {
	run.steps++
	run.sentAt = now
	run.op.OpId = int64(run.steps)
	if run.steps <= w.stepsPerRun {
		run.step.StepKey = w.keys[run.steps-1]
	} else {
		run.op.Changes[0].Change = &pb.Change_CompleteRun{CompleteRun: &pb.RunCompletion{Output: w.output}}
	}
	w.ops = append(w.ops, run.op)
}

func (w *worker) flush() {
	if len(w.accepted) > 0 {
		w.push(&pb.WorkerFrame{Frame: &pb.WorkerFrame_Accept{Accept: &pb.Accept{Leases: w.accepted}}})
		w.accepted = nil
	}
	for from := 0; from < len(w.ops); from += frameOpsMax {
		part := w.ops[from:min(len(w.ops), from+frameOpsMax)]
		w.push(&pb.WorkerFrame{Frame: &pb.WorkerFrame_Ops{Ops: &pb.Ops{Ops: part}}})
	}
	w.ops = w.ops[:0] // what was sent is encoded by now
	if time.Now().Before(w.beatAt) {
		return
	}
	w.beatAt = time.Now().Add(beatInterval)
	w.beatSeq++
	beat := &pb.Beat{BeatSeq: w.beatSeq}
	for _, run := range w.runs {
		beat.Held = append(beat.Held, &pb.BeatLease{LeaseId: run.lease.GetLeaseId(), Epoch: run.lease.GetEpoch()})
	}
	w.push(&pb.WorkerFrame{Frame: &pb.WorkerFrame_Beat{Beat: beat}})
}

func (w *worker) push(frame *pb.WorkerFrame) {
	if err := w.stream.Send(&pb.SessionRequest{Frame: frame}); err != nil {
		log.Fatal(err)
	}
}
