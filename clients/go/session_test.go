package everstep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

func five(ctx Context, _ any) (int, error) {
	sum := 0
	for step := 1; step <= 5; step++ {
		value, err := Step(ctx, fmt.Sprintf("s%d", step), func(context.Context) (int, error) { return step, nil })
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}

// hanging stays in its step until the context ends, and tells why it did.
func hanging(cause *atomic.Pointer[error]) AnyWorkflow {
	return NewWorkflow("hanging", func(ctx Context, _ any) (any, error) {
		return nil, Do(ctx, "hang", func(ctx context.Context) error {
			<-ctx.Done()
			why := context.Cause(ctx)
			cause.Store(&why)
			return ctx.Err()
		})
	})
}

func (p *peer) wantHeld(want int) {
	p.t.Helper()
	if held := p.worker.Health().Held; held != want {
		p.t.Errorf("%d runs are held, want %d", held, want)
	}
}

func wantLeaseLost(t *testing.T, cause *atomic.Pointer[error]) {
	t.Helper()
	var lost *LeaseLostError
	if why := cause.Load(); why == nil || !errors.As(*why, &lost) {
		t.Errorf("the cause is %v", why)
	}
}

func TestHelloBeatAcceptBeforeOpsAndARunToItsEnd(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.start(WorkerOptions{Capacity: 7, Queues: []string{"q"}}, NewWorkflow("five", five))
		hello := p.sent()[0].GetHello()
		if hello.GetProtocolVersion() != 1 || hello.GetCapacity() != 7 || hello.GetSdk() != sdkName ||
			!slices.Equal(hello.GetQueues(), []string{"q"}) || !slices.Equal(hello.GetWorkflows(), []string{"five"}) {
			t.Errorf("hello %v", hello)
		}
		p.assign(1, "five", nil)
		if kinds := p.kinds()[:4]; !slices.Equal(kinds, []string{"hello", "beat", "accept", "ops"}) {
			t.Errorf("frames %v", kinds)
		}
		p.wantChanges("complete_step:s1", "complete_step:s2", "complete_step:s3", "complete_step:s4", "complete_step:s5",
			"complete_run")
		p.wantOutput("15")
		if health := p.worker.Health(); !health.Connected || health.State != SessionActive || health.Held != 0 {
			t.Errorf("health %+v", health)
		}
	})
}

func TestAPingGetsItsPongAndAnUnknownWorkflowIsReleased(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.start(WorkerOptions{}, NewWorkflow("five", five))
		p.say(&pb.ServerFrame{Frame: &pb.ServerFrame_Ping{Ping: &pb.Ping{Nonce: 9}}})
		p.assign(1, "other", nil)
		frames := p.sent()
		if pong := frames[len(frames)-2].GetPong(); pong.GetNonce() != 9 {
			t.Errorf("pong %v", pong)
		}
		if release := frames[len(frames)-1].GetRelease(); release.GetRetryAfterMs() != 5_000 {
			t.Errorf("release %v", release)
		}
	})
}

func TestAfterACutHelloListsWhatIsHeldAndOpsWithoutResultAreSentAgain(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.setAnswer(drop)
		p.start(WorkerOptions{}, NewWorkflow("five", five))
		p.assign(1, "five", nil)
		p.wantChanges("complete_step:s1")
		p.cut()
		if health := p.worker.Health(); health.Connected || health.State != SessionWaiting || health.Held != 1 || health.LastError == "" {
			t.Errorf("health %+v", health)
		}
		p.setAnswer(applied)
		p.forget()
		p.advance(200 * time.Millisecond)
		hello := p.sent()[0].GetHello()
		if hello.GetResume().GetSessionId() != "session-1" || len(hello.GetHeld()) != 1 ||
			hello.GetHeld()[0].GetNoticesSeen() != 2 || hello.GetHeld()[0].GetLease().GetEpoch() != 7 {
			t.Errorf("hello %v", hello)
		}
		if first := p.ops()[0]; first.GetOpId() != 1 || p.changes()[0] != "complete_step:s1" {
			t.Errorf("sent again %v", first)
		}
		p.wantOutput("15")
	})
}

func TestAVerdictOfLostEndsTheHandlerAndNothingMoreIsSentForIt(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		var cause atomic.Pointer[error]
		p.run(hanging(&cause), nil)
		p.advance(10 * time.Millisecond)
		p.wantChanges("start_step:hang")
		p.kept = false
		p.cut()
		p.advance(200 * time.Millisecond)
		wantLeaseLost(t, &cause)
		p.wantHeld(0)
		p.wantChanges("start_step:hang")
	})
}

func TestSilenceOpensANewStreamAndGivesUpAnUnconfirmedLease(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		var cause atomic.Pointer[error]
		p.run(hanging(&cause), nil)
		p.mutex.Lock()
		p.mute = true
		p.mutex.Unlock()
		p.advance(24 * time.Second)
		if p.streamCount() != 1 || cause.Load() != nil {
			t.Errorf("%d streams, cause %v before the watchdog", p.streamCount(), cause.Load())
		}
		p.advance(2 * time.Second)
		wantLeaseLost(t, &cause)
		p.advance(40 * time.Second)
		if p.streamCount() < 3 {
			t.Errorf("%d streams", p.streamCount())
		}
	})
}

func TestGoAwayIsComeBackFromAfterTheNamedTimeAndAPartOfTheJitter(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.start(WorkerOptions{}, NewWorkflow("five", five))
		p.say(&pb.ServerFrame{Frame: &pb.ServerFrame_GoAway{GoAway: &pb.GoAway{ReconnectAfterMs: 4_000, JitterMs: 2_000}}})
		p.cut()
		p.advance(4_900 * time.Millisecond)
		if p.streamCount() != 1 {
			t.Errorf("%d streams too early", p.streamCount())
		}
		p.advance(200 * time.Millisecond)
		if p.streamCount() != 2 {
			t.Errorf("%d streams", p.streamCount())
		}
	})
}

func TestRevokeAndLeaseLostEndTheHandler(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.setAnswer(func(*pb.Op, int) *pb.OpResult {
			return refusedWith(&pb.OpRefusal{Reason: pb.ErrorReason_ERROR_REASON_LEASE_LOST, LeaseLost: true})
		})
		p.run(NewWorkflow("five", five), nil)
		p.wantChanges("complete_step:s1")
		p.wantHeld(0)
		p.setAnswer(drop)
		p.assign(2, "five", nil)
		p.wantHeld(1)
		p.say(&pb.ServerFrame{Frame: &pb.ServerFrame_Revoke{Revoke: &pb.Revoke{Leases: []*pb.LostLease{{LeaseId: leaseIDOf(2)}}}}})
		p.wantHeld(0)
	})
}

func TestABusyServerGetsLaterOpsAgainAndTheFirstNewOneAcknowledges(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		refusing := true
		p.setAnswer(func(op *pb.Op, index int) *pb.OpResult {
			if !refusing {
				return applied(op, index)
			}
			if op.GetOpId() == 1 {
				return refusedWith(&pb.OpRefusal{Reason: pb.ErrorReason_ERROR_REASON_BUSY, Retryable: true})
			}
			refusing = false
			return refusedWith(&pb.OpRefusal{Reason: pb.ErrorReason_ERROR_REASON_PRECEDING_FAILED, Retryable: true})
		})
		parallel := NewWorkflow("parallel", func(ctx Context, _ any) (int, error) {
			a := StepAsync(ctx, "a", func(context.Context) (int, error) { return 1, nil })
			b := StepAsync(ctx, "b", func(context.Context) (int, error) { return 2, nil })
			one, _ := a.Get(ctx)
			two, err := b.Get(ctx)
			return one + two, err
		})
		p.run(parallel, nil)
		p.advance(6 * time.Second)
		var sent [][2]int64
		for _, op := range p.ops() {
			sent = append(sent, [2]int64{op.GetOpId(), op.GetAfterRefused()})
		}
		tail := [][2]int64{{1, 0}, {2, 1}, {3, 0}}
		if len(sent) < 3 || !slices.Equal(sent[len(sent)-3:], tail) {
			t.Errorf("ops %v, want them to end in %v", sent, tail)
		}
		p.wantOutput("3")
	})
}

func TestOpsLeaveInFramesWithinTheAnnouncedLimit(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.settings.FrameOpsMax = 2
		wide := NewWorkflow("wide", func(ctx Context, _ any) (any, error) {
			var sleeps []*Future[struct{}]
			for n := range 7 {
				sleeps = append(sleeps, SleepAsync(ctx, fmt.Sprintf("nap-%d", n), time.Minute))
			}
			_, err := sleeps[0].Get(ctx)
			return nil, err
		})
		p.run(wide, nil)
		for _, frame := range p.sent() {
			if count := len(frame.GetOps().GetOps()); count > 2 {
				t.Errorf("a frame with %d ops", count)
			}
		}
		if count := len(p.changes()); count != 8 {
			t.Errorf("changes %v", p.changes())
		}
	})
}

func TestCloseLetsRunningStepsFinishAndSaysGoodbyeLast(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		finish := make(chan struct{})
		slow := NewWorkflow("slow", func(ctx Context, _ any) (any, error) {
			if err := Do(ctx, "one", func(context.Context) error { <-finish; return nil }); err != nil {
				return nil, err
			}
			return nil, Do(ctx, "two", func(context.Context) error { return nil })
		})
		p.run(slow, nil)
		p.advance(10 * time.Millisecond)
		closed := make(chan error, 1)
		go func() { closed <- p.worker.Close(t.Context()) }()
		p.advance(time.Millisecond)
		if health := p.worker.Health(); !slices.Contains(p.kinds(), "drain") || health.Held != 1 || health.State != SessionDraining {
			t.Errorf("frames %v, health %+v", p.kinds(), health)
		}
		close(finish)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		p.wantChanges("start_step:one", "complete_step:one")
		kinds := p.kinds()
		if !slices.Equal(kinds[len(kinds)-2:], []string{"release", "goodbye"}) {
			t.Errorf("frames %v", kinds)
		}
		if state := p.worker.Health().State; state != SessionClosed {
			t.Errorf("state %s", state)
		}
	})
}

func TestCloseAbortsAStepThatDoesNotEndInTime(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		var cause atomic.Pointer[error]
		p.run(hanging(&cause), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := p.worker.Close(ctx); err != nil {
			t.Error(err)
		}
		wantLeaseLost(t, &cause)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
		kinds := p.kinds()
		if !slices.Equal(kinds[len(kinds)-2:], []string{"release", "goodbye"}) {
			t.Errorf("frames %v", kinds)
		}
	})
}

func TestCloseNamesStepsThatIgnoreTheirContext(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		end := make(chan struct{})
		stubborn := NewWorkflow("stubborn", func(ctx Context, _ any) (any, error) {
			return nil, Do(ctx, "deaf", func(context.Context) error { <-end; return nil })
		})
		p.run(stubborn, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.worker.Close(ctx); err == nil {
			t.Error("nobody says that a step function goes on")
		}
		close(end)
	})
}
