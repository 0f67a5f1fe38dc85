// A raw client of the stream: no workflow code, just leases and ops, as fast as answers come, for as little of the
// processor as it can (wire.go). Each run gets its steps one after the other and then ends. Prints, some times a second,
// a JSON line with the steps and runs it has finished and the latencies since the last line on its input.
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
	"google.golang.org/protobuf/proto"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

const (
	// What one frame may carry; the SDKs send no more either.
	frameOpsMax  = 1024
	beatInterval = 10 * time.Second
	reportEvery  = 20 * time.Millisecond
)

type liveRun struct {
	lease  *pb.Lease
	steps  int
	sentAt time.Time
	// The lease as the field of an op.
	field []byte
}

type worker struct {
	stream      grpc.ClientStream
	stepsPerRun int
	// The changes of a run in their order, its end the last one, as fields of an op.
	changes [][]byte
	runs    map[string]*liveRun
	// The ops of the frame that is filled, and those that are full.
	ops      []byte
	opsCount int
	requests [][]byte
	accepted []*pb.Lease
	beatAt   time.Time
	beatSeq  int64

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
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20), grpc.ForceCodecV2(codec{})))
	if err != nil {
		log.Fatal(err)
	}
	stream, err := connection.NewStream(context.Background(), &pb.WorkerService_ServiceDesc.Streams[0],
		pb.WorkerService_Session_FullMethodName)
	if err != nil {
		log.Fatal(err)
	}
	w := &worker{
		stream:      stream,
		stepsPerRun: stepsPerRun,
		runs:        map[string]*liveRun{},
		beatAt:      time.Now().Add(beatInterval),
	}
	output := &pb.Payload{Data: &pb.Payload_Json{Json: `"twenty bytes of step"`}}
	for step := range stepsPerRun {
		completion := &pb.StepCompletion{StepKey: fmt.Sprintf("s%d", step+1), Output: output, ElapsedMs: 1}
		w.addChange(&pb.Change{Change: &pb.Change_CompleteStep{CompleteStep: completion}})
	}
	w.addChange(&pb.Change{Change: &pb.Change_CompleteRun{CompleteRun: &pb.RunCompletion{Output: output}}})
	w.push(&pb.WorkerFrame{Frame: &pb.WorkerFrame_Hello{Hello: &pb.Hello{
		ProtocolVersion: 1, WorkerInstanceId: fmt.Sprintf("bench-go-%d", os.Getpid()), Identity: "bench", Sdk: "raw",
		Queues: []string{"default"}, Workflows: []string{"bench"}, Capacity: &capacity,
	}}})
	go w.report()
	go w.resetByLine()
	for response := (&encoded{}); ; {
		if err := stream.RecvMsg(response); err != nil {
			log.Fatal(err)
		}
		w.read(response.bytes)
	}
}

func (w *worker) addChange(change *pb.Change) {
	w.changes = append(w.changes, fieldOf(change, opChanges))
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

func (w *worker) read(response []byte) {
	if results, ok := resultsOf(response); ok {
		w.results(results)
	} else {
		w.readFrame(response)
	}
	w.flush()
}

func (w *worker) readFrame(bytes []byte) {
	response := &pb.SessionResponse{}
	if err := proto.Unmarshal(bytes, response); err != nil {
		log.Fatal(err)
	}
	switch got := response.GetFrame().GetFrame().(type) {
	case *pb.ServerFrame_Assign:
		for _, assignment := range got.Assign.GetAssignments() {
			lease := assignment.GetLease()
			run := &liveRun{lease: lease, field: fieldOf(lease, opLease)}
			w.runs[string(lease.GetLeaseId())] = run
			w.accepted = append(w.accepted, lease)
			w.next(run, time.Now())
		}
	case *pb.ServerFrame_OpResults:
		log.Fatal("a frame of results has something beside them")
	case *pb.ServerFrame_FrameRefused:
		log.Fatal(got.FrameRefused.GetMessage())
	}
}

func (w *worker) results(results []byte) {
	now := time.Now()
	w.tally.mutex.Lock()
	defer w.tally.mutex.Unlock()
	err := eachResult(results, func(leaseID []byte) {
		run := w.runs[string(leaseID)]
		switch {
		case run == nil:
		case run.steps > w.stepsPerRun:
			delete(w.runs, string(leaseID))
			w.tally.finished++
		default:
			w.tally.steps++
			w.tally.record(now.Sub(run.sentAt))
			w.next(run, now)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
}

// next adds the run's next step to what is sent, or its end behind the last one.
func (w *worker) next(run *liveRun, now time.Time) {
	run.steps++
	run.sentAt = now
	w.ops = appendOp(w.ops, uint64(run.steps), run.field, w.changes[run.steps-1])
	if w.opsCount++; w.opsCount == frameOpsMax {
		w.endFrame()
	}
}

func (w *worker) endFrame() {
	if w.opsCount > 0 {
		w.requests = append(w.requests, opsRequest(w.ops))
	}
	w.ops, w.opsCount = w.ops[:0], 0
}

func (w *worker) flush() {
	if len(w.accepted) > 0 {
		w.push(&pb.WorkerFrame{Frame: &pb.WorkerFrame_Accept{Accept: &pb.Accept{Leases: w.accepted}}})
		w.accepted = nil
	}
	w.endFrame()
	for _, request := range w.requests {
		w.send(request)
	}
	w.requests = w.requests[:0]
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
	w.send(encode(&pb.SessionRequest{Frame: frame}))
}

func (w *worker) send(bytes []byte) {
	if err := w.stream.SendMsg(&encoded{bytes}); err != nil {
		log.Fatal(err)
	}
}
