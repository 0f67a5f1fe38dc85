package everstep

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
	"github.com/everstep/everstep/clients/go/internal/servertest"
)

// manyPauses is more than another call would make before it gives up, when chance makes them as long as it may.
const manyPauses = 16

func TestResultAndWatchGoOnWhenTheServerIsKilledOrStoppedAndComesBack(t *testing.T) {
	for name, end := range map[string]func(*servertest.Server){
		"killed": (*servertest.Server).Kill, "stopped": (*servertest.Server).Stop,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := servertest.Options{File: filepath.Join(t.TempDir(), "runs.db"), Listen: servertest.SteadyAddress(t)}
			server := servertest.New(t, options)
			var pauses atomic.Int32
			client := newOutageClient(t, server.URL, &pauses)
			run, err := client.Start(t.Context(), "nobody-works-on-it", nil)
			if err != nil {
				t.Fatal(err)
			}
			result := make(chan error, 1)
			go func() { result <- run.Result(t.Context(), nil) }()
			seqs := make(chan []int64, 1)
			var seen atomic.Int32
			go func() {
				var all []int64
				for event, err := range run.Watch(t.Context()) {
					if err != nil {
						t.Error(err)
						break
					}
					all = append(all, event.GetSeq())
					seen.Add(1)
				}
				seqs <- all
			}()
			signal(t, run)
			eventually(t, func() bool { return seen.Load() == 2 })
			end(server)
			pauses.Store(0)
			eventually(t, func() bool { return pauses.Load() >= 2*manyPauses })
			servertest.New(t, options)
			// Another client steers: the connection of the first one pauses, too.
			other := newOutageClient(t, server.URL, &pauses).Handle(run.RunID)
			signal(t, other)
			if _, err := other.Terminate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-result; ReasonOf(err) != "RUN_TERMINATED" {
				t.Errorf("the result is %v", err)
			}
			if all := <-seqs; !slices.Equal(all, []int64{1, 2, 3, 4}) {
				t.Errorf("watched %v", all)
			}
		})
	}
}

// newOutageClient makes one whose pauses are as short as chance may make them.
func newOutageClient(t *testing.T, address string, pauses *atomic.Int32) *Client {
	t.Helper()
	client, err := NewClient(ClientOptions{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	client.random = func() float64 { pauses.Add(1); return 0 }
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func signal(t *testing.T, run *RunHandle) {
	t.Helper()
	if _, err := run.Signal(t.Context(), "s", 1); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !fact(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come true")
		}
	}
}

// brokenRuns answers WaitRun as it is told.
type brokenRuns struct {
	pb.RunServiceClient
	waitRun func(ctx context.Context, call int) (*pb.WaitRunResponse, error)
	calls   int
}

func (b *brokenRuns) WaitRun(ctx context.Context, _ *pb.WaitRunRequest, _ ...grpc.CallOption) (*pb.WaitRunResponse, error) {
	b.calls++
	return b.waitRun(ctx, b.calls)
}

func clientOf(runs pb.RunServiceClient) *Client {
	return &Client{rpc: runs, codec: codecOrDefault(nil), random: func() float64 { return 1 }, closed: make(chan struct{})}
}

func failing(code codes.Code) func(context.Context, int) (*pb.WaitRunResponse, error) {
	return func(context.Context, int) (*pb.WaitRunResponse, error) {
		return nil, status.Error(code, "the connection is gone")
	}
}

func TestAnOutageOfTenMinutesEndsNoWaitButItsContextDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &brokenRuns{waitRun: failing(codes.Unavailable)}
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Minute, enough)
		defer cancel()
		began := time.Now()
		_, err := clientOf(runs).Wait(ctx, "r")
		if !errors.Is(err, enough) || time.Since(began) != 10*time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if runs.calls < 500 || runs.calls > 700 {
			t.Errorf("%d calls", runs.calls)
		}
	})
}

func TestWhatIsLeftOfACallWhoseServerDiedIsAnOutage(t *testing.T) {
	for _, code := range []codes.Code{
		codes.Unavailable, codes.Canceled, codes.Aborted, codes.Internal, codes.Unknown, codes.DeadlineExceeded,
	} {
		synctest.Test(t, func(t *testing.T) {
			runs := &brokenRuns{waitRun: func(ctx context.Context, call int) (*pb.WaitRunResponse, error) {
				if call <= manyPauses {
					return failing(code)(ctx, call)
				}
				return &pb.WaitRunResponse{Run: &pb.Run{RunId: "r", Status: pb.RunStatus_RUN_STATUS_TERMINATED}}, nil
			}}
			if info, err := clientOf(runs).Wait(t.Context(), "r"); err != nil || info.Status != RunTerminated {
				t.Errorf("%v: %v, %v", code, info.Status, err)
			}
		})
	}
}

func TestWhatTheServerRefusesEndsAWaitAtOnce(t *testing.T) {
	for _, code := range []codes.Code{
		codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument,
	} {
		runs := &brokenRuns{waitRun: failing(code)}
		if _, err := clientOf(runs).Wait(t.Context(), "r"); err == nil || runs.calls != 1 {
			t.Errorf("%v: %v after %d calls", code, err, runs.calls)
		}
	}
}

// Chance makes the pauses as short as they may be, or as long.
func TestACallIsTriedAgainForTenSecondsHoweverLongItsPausesAre(t *testing.T) {
	for _, drawn := range []float64{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			client := clientOf(&brokenRuns{})
			client.random = func() float64 { return drawn }
			tryFor := func(away time.Duration) error {
				began := time.Now()
				_, err := callWithRetry(t.Context(), client, func() (string, error) {
					if time.Since(began) < away {
						return "", status.Error(codes.Unavailable, "refused")
					}
					return "answer", nil
				})
				return err
			}
			if err := tryFor(9900 * time.Millisecond); err != nil {
				t.Errorf("%v: %v", drawn, err)
			}
			began := time.Now()
			err := tryFor(time.Hour)
			if took := time.Since(began); ReasonOf(err) != "UNAVAILABLE" || took < callPatience || took > callPatience+3*time.Second {
				t.Errorf("%v: %v after %v", drawn, err, took)
			}
		})
	}
}

func TestADeadConnectionThatDoesNotSaySoHoldsNoWaitUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &brokenRuns{waitRun: func(ctx context.Context, call int) (*pb.WaitRunResponse, error) {
			if call == 1 {
				<-ctx.Done()
				return nil, status.FromContextError(ctx.Err()).Err()
			}
			return &pb.WaitRunResponse{Run: &pb.Run{Status: pb.RunStatus_RUN_STATUS_COMPLETED}}, nil
		}}
		began := time.Now()
		if _, err := clientOf(runs).Wait(t.Context(), "r"); err != nil || time.Since(began) > 65*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestCloseEndsAWaitThatPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := clientOf(&brokenRuns{waitRun: failing(codes.Unavailable)})
		ended := make(chan error, 1)
		go func() {
			_, err := client.Wait(t.Context(), "r")
			ended <- err
		}()
		time.Sleep(time.Minute)
		close(client.closed)
		if err := <-ended; ReasonOf(err) != "UNAVAILABLE" {
			t.Errorf("ended with %v", err)
		}
	})
}
