package everstep

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

type anyFlow = func(ctx Context, input any) (any, error)

// play assigns one run of a workflow, with answers to ops where answer gives one.
func (p *peer) play(flow anyFlow, with *pb.Assignment, answer func(op *pb.Op, change *pb.Change) *pb.OpResult) {
	p.t.Helper()
	if answer != nil {
		p.setAnswer(func(op *pb.Op, index int) *pb.OpResult {
			if result := answer(op, op.GetChanges()[0]); result != nil {
				return result
			}
			return applied(op, index)
		})
	}
	p.run(NewWorkflow("w", flow), with)
}

func journal(entries ...*pb.JournalEntry) *pb.Assignment { return &pb.Assignment{Journal: entries} }

// retriesAfter answers two failed attempts with a retry and the third with the end.
func retriesAfter(delay time.Duration) func(*pb.Op, *pb.Change) *pb.OpResult {
	return func(_ *pb.Op, change *pb.Change) *pb.OpResult {
		failed := change.GetFailStep()
		if failed == nil {
			return nil
		}
		if failed.GetAttempt() < 3 {
			retry := &pb.RetryPlanned{NextAttempt: failed.GetAttempt() + 1, DelayMs: delay.Milliseconds()}
			return appliedWith(&pb.ChangeResult{Outcome: &pb.ChangeResult_Retry{Retry: retry}})
		}
		exhausted := &pb.StepExhausted{Attempt: failed.GetAttempt()}
		return appliedWith(&pb.ChangeResult{Outcome: &pb.ChangeResult_Exhausted{Exhausted: exhausted}})
	}
}

// refusesSuspend answers every suspend with one reason.
func refusesSuspend(reason pb.ErrorReason) func(*pb.Op, *pb.Change) *pb.OpResult {
	return func(_ *pb.Op, change *pb.Change) *pb.OpResult {
		if change.GetSuspendRun() == nil {
			return nil
		}
		return refusedWith(&pb.OpRefusal{Reason: reason})
	}
}

func (p *peer) wantFailedRun(failureType string) *pb.RunFailure {
	p.t.Helper()
	end := last(p, (*pb.Change).GetFailRun)
	if end.GetFailure().GetType() != failureType {
		p.t.Errorf("the run failed with type %s, want %s", end.GetFailure().GetType(), failureType)
	}
	return end
}

func number(n int) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return n, nil }
}

func TestARecordedResultIsReturnedAndTheFunctionIsNotCalled(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return Step(ctx, "a", func(context.Context) (int, error) { t.Error("called"); return 0, nil })
		}, journal(completedEntry("a", 41)), nil)
		p.wantOutput("41")
	})
}

func TestAStartIsSentOnlyForAStepThatGoesOn(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			if _, err := Step(ctx, "quick", number(1)); err != nil {
				return nil, err
			}
			return nil, Do(ctx, "slow", func(context.Context) error { time.Sleep(20 * time.Millisecond); return nil })
		}, nil, nil)
		p.advance(30 * time.Millisecond)
		p.wantChanges("complete_step:quick", "start_step:slow", "complete_step:slow", "complete_run")
	})
}

func TestOnceAResultFindsNoPlaceInTheHistoryNoOtherIsSentAgain(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.setAnswer(drop)
		p.play(func(ctx Context, _ any) (any, error) {
			step := func(key string) func(Context) error {
				return func(ctx Context) error {
					_, err := Step(ctx, key, number(1))
					return err
				}
			}
			return nil, Parallel(ctx, step("a"), step("b"), step("c"))
		}, nil, nil)
		results := p.ops()
		p.setAnswer(func(op *pb.Op, index int) *pb.OpResult {
			switch {
			case op.GetChanges()[0].GetCompleteStep() == nil:
				return applied(op, index)
			case op == results[0] || op.GetAfterRefused() != 0:
				return refusedWith(&pb.OpRefusal{Reason: pb.ErrorReason_ERROR_REASON_HISTORY_LIMIT})
			}
			return refusedWith(&pb.OpRefusal{Reason: pb.ErrorReason_ERROR_REASON_PRECEDING_FAILED, Retryable: true})
		})
		p.say(p.opResults(results))
		p.wantFailedRun("HistoryLimit")
		if ops := p.ops(); len(results) != 3 || len(ops) != 4 || ops[3].GetAfterRefused() != results[0].GetOpId() {
			t.Errorf("changes %v", p.changes())
		}
		p.wantHeld(0)
	})
}

func TestAtMostOnceTheFunctionWaitsForItsStartToBeDurable(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.setAnswer(drop)
		p.play(func(ctx Context, _ any) (any, error) {
			pay := func(context.Context) error { t.Error("called"); return nil }
			return nil, Do(ctx, "pay", pay, StepOptions{AtMostOnce: true})
		}, nil, nil)
		if !last(p, (*pb.Change).GetStartStep).GetAtMostOnce() {
			t.Error("the start does not say at most once")
		}
		p.wantHeld(1)
	})
}

func TestARetryIsWaitedOutUnderTheLeaseThenTheStepIsExhausted(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		var attempts []int
		p.play(func(ctx Context, _ any) (any, error) {
			return nil, Do(ctx, "flaky", func(ctx context.Context) error {
				attempts = append(attempts, AttemptOf(ctx).Attempt)
				return &unavailable{}
			})
		}, nil, retriesAfter(5*time.Second))
		p.advance(10 * time.Second)
		if !slices.Equal(attempts, []int{1, 2, 3}) {
			t.Errorf("attempts %v", attempts)
		}
		end := p.wantFailedRun("StepFailed")
		if !slices.Equal(end.GetFailedSteps(), []string{"flaky"}) || end.GetFailure().GetCause().GetType() != "unavailable" {
			t.Errorf("the run failed with %v", end)
		}
		if slices.Contains(p.changes(), "suspend_run") {
			t.Errorf("changes %v", p.changes())
		}
	})
}

type unavailable struct{}

func (*unavailable) Error() string { return "no" }

func TestAFailedStepIsAnErrorThatErrorsAsFinds(t *testing.T) {
	failed := &pb.JournalEntry{StepKey: "a", Entry: &pb.JournalEntry_Failed{Failed: &pb.JournalFailed{
		Attempt: 4, Failure: &pb.Failure{Type: "X", Message: "m", Cause: &pb.Failure{Type: "Y"}},
	}}}
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			_, err := Step(ctx, "a", number(1))
			var step *StepFailedError
			var remote *RemoteError
			if !errors.As(err, &step) || !errors.As(err, &remote) || remote.Failure.Type != "X" ||
				!HasFailureType(err, "Y") || HasFailureType(err, "Z") {
				t.Errorf("err %#v", err)
			}
			return step.Attempts, nil
		}, journal(failed), nil)
		p.wantOutput("4")
	})
}

func TestALongRetrySuspendsAndATakeoverGoesOnWithTheNextAttempt(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return Step(ctx, "flaky", func(ctx context.Context) (int, error) {
				if attempt := AttemptOf(ctx).Attempt; attempt > 1 {
					return attempt, nil
				}
				return 0, errors.New("no")
			})
		}, nil, retriesAfter(5*time.Second+time.Millisecond))
		if awaits := last(p, (*pb.Change).GetSuspendRun).GetAwaits(); len(awaits) != 1 || awaits[0].GetRetry() != "flaky" {
			t.Errorf("awaits %v", awaits)
		}
		p.wantHeld(0)
		retrying := &pb.JournalRetrying{Attempt: 1}
		p.assign(2, "w", journal(&pb.JournalEntry{StepKey: "flaky", Entry: &pb.JournalEntry_Retrying{Retrying: retrying}}))
		p.wantOutput("2")
	})
}

func TestATimeoutEndsTheContextAndFailsTheAttempt(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		var cause atomic.Pointer[error]
		p.play(func(ctx Context, _ any) (any, error) {
			return nil, Do(ctx, "slow", func(ctx context.Context) error {
				<-ctx.Done()
				why := context.Cause(ctx)
				cause.Store(&why)
				return ctx.Err()
			}, StepOptions{Timeout: 500 * time.Millisecond, Retry: &RetryOptions{MaxAttempts: 1}})
		}, nil, nil)
		p.advance(10 * time.Millisecond)
		if start := last(p, (*pb.Change).GetStartStep); start.GetTimeoutMs() != 1_500 || start.GetRetryPolicy().GetMaxAttempts() != 1 {
			t.Errorf("start %v", start)
		}
		p.advance(500 * time.Millisecond)
		var timeout *StepTimeoutError
		if why := cause.Load(); why == nil || !errors.As(*why, &timeout) {
			t.Errorf("cause %v", why)
		}
		if failure := last(p, (*pb.Change).GetFailStep).GetFailure(); failure.GetType() != "StepTimeout" {
			t.Errorf("failure %v", failure)
		}
	})
}

func TestAResultThatIsTooLargeFailsTheAttemptForGood(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return Step(ctx, "big", func(context.Context) (string, error) { return strings.Repeat("x", 300_000), nil })
		}, nil, nil)
		failure := last(p, (*pb.Change).GetFailStep).GetFailure()
		if failure.GetType() != "PayloadTooLarge" || !failure.GetNonRetryable() {
			t.Errorf("failure %v", failure)
		}
	})
}

func TestTheInputIsRecordedWithTheStart(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return Step(ctx, "a", number(1), StepOptions{Input: map[string]int{"id": 3}})
		}, nil, nil)
		p.wantChanges("start_step:a", "complete_step:a", "complete_run")
		if input := last(p, (*pb.Change).GetStartStep).GetInput().GetJson(); input != `{"id":3}` {
			t.Errorf("input %s", input)
		}
	})
}

func TestTheHistoryLimitFailsTheRunWhateverTheCodeDoesWithErrors(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			_, _ = Step(ctx, "a", number(1))
			return "swallowed", nil
		}, nil, func(_ *pb.Op, change *pb.Change) *pb.OpResult {
			if change.GetCompleteStep() == nil {
				return nil
			}
			return refusedWith(&pb.OpRefusal{Reason: pb.ErrorReason_ERROR_REASON_HISTORY_LIMIT})
		})
		p.wantFailedRun("HistoryLimit")
	})
}

func TestAnErrorSaysThatNoRetryHelps(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return nil, Do(ctx, "a", func(context.Context) error {
				return &NonRetryableError{Type: "CardDeclined", Message: "declined", Details: map[string]int{"code": 5}}
			})
		}, nil, nil)
		failure := last(p, (*pb.Change).GetFailStep).GetFailure()
		if failure.GetType() != "CardDeclined" || !failure.GetNonRetryable() || failure.GetDetails().GetJson() != `{"code":5}` {
			t.Errorf("failure %v", failure)
		}
	})
}

func TestAPanicIsAFailedAttemptWithItsStack(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return nil, Do(ctx, "a", func(context.Context) error { panic("bug") })
		}, nil, nil)
		failure := last(p, (*pb.Change).GetFailStep).GetFailure()
		if failure.GetType() != "Panic" || failure.GetMessage() != "panic: bug" || failure.GetStack() == "" {
			t.Errorf("failure %v", failure)
		}
	})
}

func TestRepeatedKeysAreNumberedInCallOrder(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			for n := range 3 {
				if _, err := Step(ctx, "a", number(n)); err != nil {
					return nil, err
				}
			}
			return ctx.StepKeys(), nil
		}, nil, nil)
		p.wantOutput(`["a","a#2","a#3"]`)
	})
}

func TestARepeatedKeyInTwoBranchesIsRefusedByName(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			first, second := StepAsync(ctx, "a", number(1)), StepAsync(ctx, "a", number(2))
			_, err := second.Get(ctx)
			if ReasonOf(err) != "AMBIGUOUS_STEP_KEY" {
				t.Errorf("err %v", err)
			}
			_, firstErr := first.Get(ctx)
			return nil, errors.Join(firstErr, err)
		}, nil, nil)
		p.wantFailedRun("AmbiguousStepKey")
	})
}

func TestKeysThatCannotBeAreRefusedByName(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			for _, key := range []string{"", "a#2", strings.Repeat("x", 1_025)} {
				if _, err := Step(ctx, key, number(1)); ReasonOf(err) != "INVALID_ARGUMENT" {
					t.Errorf("key %.20q: %v", key, err)
				}
			}
			if err := Sleep(ctx, "nap", -time.Second); ReasonOf(err) != "INVALID_ARGUMENT" {
				t.Errorf("a sleep of less than nothing: %v", err)
			}
			if _, err := Signal[int](ctx, ""); ReasonOf(err) != "INVALID_ARGUMENT" {
				t.Errorf("a signal without a name: %v", err)
			}
			if _, err := Step(ctx, "two", number(1), StepOptions{}, StepOptions{}); ReasonOf(err) != "INVALID_ARGUMENT" {
				t.Errorf("two options: %v", err)
			}
			return nil, nil
		}, nil, nil)
		p.wantChanges("complete_run")
	})
}

func TestAnotherKindInTheHistoryFailsTheRunWhateverTheCodeDoesWithErrors(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			_ = Sleep(ctx, "a", 10*time.Millisecond)
			return "swallowed", nil
		}, journal(completedEntry("a", 1)), nil)
		p.wantFailedRun("NonDeterminism")
		if reason := (&NonDeterminismError{}).Reason(); reason != "STEP_KIND_MISMATCH" {
			t.Errorf("reason %s", reason)
		}
	})
}

func TestResultsComeBackInTheRecordedOrder(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			a, b := StepAsync(ctx, "a", number(0)), StepAsync(ctx, "b", number(0))
			return First(ctx, a, b)
		}, journal(completedEntry("b", 1), completedEntry("a", 1)), nil)
		p.wantOutput("1")
	})
}

func TestBranchesHaveTheSameOrderAtEveryReplay(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			var order []string
			branch := func(name string) func(Context) error {
				return func(ctx Context) error {
					_, err := Step(ctx, name, number(0))
					order = append(order, name)
					return err
				}
			}
			err := Parallel(ctx, branch("a"), branch("b"), branch("c"))
			return order, err
		}, journal(completedEntry("c", 1), completedEntry("a", 1), completedEntry("b", 1)), nil)
		p.wantOutput(`["c","a","b"]`)
	})
}

func TestAJournalInChunksStartsTheRunWhenItIsWhole(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		with := journal(completedEntry("a", 1))
		with.JournalContinues = true
		p.play(func(ctx Context, _ any) (any, error) {
			a, _ := Step(ctx, "a", number(0))
			b, err := Step(ctx, "b", number(0))
			return a + b, err
		}, with, nil)
		p.wantChanges()
		chunk := &pb.JournalChunk{LeaseId: leaseIDOf(1), Journal: []*pb.JournalEntry{completedEntry("b", 2)}}
		p.say(&pb.ServerFrame{Frame: &pb.ServerFrame_JournalChunk{JournalChunk: chunk}})
		p.wantOutput("3")
	})
}

func sleepy(ctx Context, _ any) (any, error) {
	err := Sleep(ctx, "nap", time.Hour)
	return "woke", err
}

func TestALongSleepSetsATimerAndSuspendsAndReplayGoesOnBehindIt(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(sleepy, nil, nil)
		p.wantChanges("set_timer:nap", "suspend_run")
		if suspend := last(p, (*pb.Change).GetSuspendRun); suspend.GetNoticesSeen() != 2 || suspend.GetAwaits()[0].GetTimer() != "nap" {
			t.Errorf("suspend %v", suspend)
		}
		p.assign(2, "w", journal(firedEntry("nap")))
		p.wantOutput(`"woke"`)
	})
}

func TestNoticesPendingTheNoticeIsWorkedOffAndTheRunGoesOn(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(sleepy, nil, refusesSuspend(pb.ErrorReason_ERROR_REASON_NOTICES_PENDING))
		p.wantHeld(1)
		p.notice(1, &pb.Notice{Seq: 5, What: &pb.Notice_TimerFired{TimerFired: "nap"}})
		p.wantOutput(`"woke"`)
		if ops := p.ops(); ops[len(ops)-1].GetAfterRefused() != 2 {
			t.Errorf("the last op is %v", ops[len(ops)-1])
		}
	})
}

func TestNoticesPendingWithoutANoticeGivesTheRunBack(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(sleepy, nil, refusesSuspend(pb.ErrorReason_ERROR_REASON_NOTICES_PENDING))
		p.advance(noticesOverdue)
		p.wantHeld(0)
		if kinds := p.kinds(); kinds[len(kinds)-1] != "release" {
			t.Errorf("frames %v", kinds)
		}
	})
}

func TestASignalThatIsThereIsConsumedOneThatComesLaterToo(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		count := 0
		with := &pb.Assignment{OpenSignals: []*pb.Signal{{SignalId: 2, Name: "go"}}}
		p.play(func(ctx Context, _ any) (any, error) {
			first, _ := Signal[int](ctx, "go")
			second, err := Signal[int](ctx, "go")
			return []any{first, second, ctx.StepKeys()}, err
		}, with, func(op *pb.Op, change *pb.Change) *pb.OpResult {
			if change.GetConsumeSignal() != nil {
				count++
				consumed := &pb.ConsumedSignal{SignalId: 3, Payload: jsonPayload(count)}
				return appliedWith(&pb.ChangeResult{Outcome: &pb.ChangeResult_Signal{Signal: consumed}})
			}
			return refusesSuspend(pb.ErrorReason_ERROR_REASON_NOTICES_PENDING)(op, change)
		})
		p.notice(1, &pb.Notice{Seq: 6, What: &pb.Notice_Signal{Signal: &pb.Signal{SignalId: 6, Name: "go"}}})
		p.wantOutput(`[1,2,["go","go#2"]]`)
	})
}

func TestAWaitWithATimeoutIsATypedErrorWhenItsTimerFires(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			_, err := Signal[string](ctx, "go", SignalOptions{Timeout: 500 * time.Millisecond})
			var timeout *SignalTimeoutError
			return errors.As(err, &timeout) && timeout.Name == "go", nil
		}, nil, nil)
		if timer := last(p, (*pb.Change).GetSetTimer); timer.GetStepKey() != "go" || timer.GetSignalName() != "go" || timer.GetDelayMs() != 500 {
			t.Errorf("timer %v", timer)
		}
		p.notice(1, &pb.Notice{Seq: 4, What: &pb.Notice_TimerFired{TimerFired: "go"}})
		p.wantOutput("true")
	})
}

func TestNoSuspendWhileAnotherBranchRunsAStep(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			nap := SleepAsync(ctx, "nap", time.Minute)
			err := Do(ctx, "work", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			_, napErr := nap.Get(ctx)
			return nil, errors.Join(err, napErr)
		}, nil, nil)
		p.advance(time.Second)
		p.wantChanges("set_timer:nap", "start_step:work")
	})
}

func cleanup(ctx Context, _ any) (_ any, err error) {
	defer func() {
		undone, undoErr := Step(ctx, "undo", func(ctx context.Context) (bool, error) { return ctx.Err() != nil, nil })
		_, err = undone, errors.Join(err, undoErr)
	}()
	if _, err := Step(ctx, "a", number(1)); err != nil {
		return nil, err
	}
	return nil, Sleep(ctx, "nap", 500*time.Millisecond)
}

func cancelNotice(reason string) *pb.Notice {
	return &pb.Notice{Seq: 9, What: &pb.Notice_Cancel{Cancel: &pb.CancelNotice{Reason: reason, GraceMs: 30_000}}}
}

func TestACancelEndsAWaitCleanupStepsRunAndTheRunEndsCancelled(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(cleanup, nil, nil)
		p.notice(1, cancelNotice("enough"))
		p.wantChanges("complete_step:a", "set_timer:nap", "complete_step:undo", "cancelled_run")
		if output := last(p, (*pb.Change).GetCompleteStep).GetOutput().GetJson(); output != "false" {
			t.Error("the cleanup sees the cancel")
		}
	})
}

func TestACancelFromBeforeTheGrantCountsBehindWhatIsRecorded(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		with := journal(completedEntry("a", 1), timerEntry("nap", 400))
		with.CancelRequested = true
		p.play(cleanup, with, nil)
		p.wantChanges("complete_step:undo", "cancelled_run")
	})
}

func TestACancelEndsTheContextOfARunningStepAndThatIsNoFailedAttempt(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return nil, Do(ctx, "fetch", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}, nil, nil)
		p.advance(10 * time.Millisecond)
		p.notice(1, cancelNotice(""))
		p.wantChanges("start_step:fetch", "cancelled_run")
	})
}

func TestACancelEndsABackOff(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return nil, Do(ctx, "flaky", func(context.Context) error { return errors.New("no") })
		}, nil, retriesAfter(4*time.Second))
		p.notice(1, cancelNotice(""))
		p.wantChanges("fail_step:flaky", "cancelled_run")
	})
}

func TestPauseBeginsNoNewStepAndGivesTheLeaseBack(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		finish := make(chan struct{})
		p.play(func(ctx Context, _ any) (any, error) {
			if err := Do(ctx, "a", func(context.Context) error { <-finish; return nil }); err != nil {
				return nil, err
			}
			return Step(ctx, "b", number(1))
		}, nil, nil)
		p.advance(10 * time.Millisecond)
		p.notice(1, &pb.Notice{Seq: 9, What: &pb.Notice_Pause{Pause: &pb.PauseNotice{}}})
		close(finish)
		synctest.Wait()
		p.wantChanges("start_step:a", "complete_step:a")
		if kinds := p.kinds(); kinds[len(kinds)-1] != "release" {
			t.Errorf("frames %v", kinds)
		}
	})
}

func TestTheContextOfOneBranchInAnotherGoroutineIsAnError(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return Step(ctx, "outer", func(context.Context) (string, error) {
				_, err := Step(ctx, "inner", number(1))
				return ReasonOf(err), nil
			})
		}, nil, nil)
		p.wantOutput(`"INVALID_ARGUMENT"`)
	})
}

func TestDeferredFunctionsRunWhenARunIsSuspended(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		var unwound atomic.Bool
		p.play(func(ctx Context, _ any) (any, error) {
			defer unwound.Store(true)
			return sleepy(ctx, nil)
		}, nil, nil)
		if !unwound.Load() {
			t.Error("the suspended run still holds its goroutine")
		}
	})
}

type detailedError struct{}

func (*detailedError) Error() string       { return "out of stock" }
func (*detailedError) FailureType() string { return "OutOfStock" }
func (*detailedError) FailureDetails() any { return map[string]int{"left": 0} }

func TestAnErrorNamesItsTypeAndItsDetails(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.play(func(ctx Context, _ any) (any, error) {
			return nil, Do(ctx, "a", func(context.Context) error { return &detailedError{} })
		}, nil, nil)
		failure := last(p, (*pb.Change).GetFailStep).GetFailure()
		if failure.GetType() != "OutOfStock" || failure.GetDetails().GetJson() != `{"left":0}` || failure.GetNonRetryable() {
			t.Errorf("failure %v", failure)
		}
	})
}

func TestACapacityThatWasChangedIsInTheHealthAndOnTheWire(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.start(WorkerOptions{}, NewWorkflow("five", five))
		if err := p.worker.SetCapacity(3); err != nil {
			t.Fatal(err)
		}
		if capacity := p.worker.Health().Capacity; capacity != 3 {
			t.Errorf("capacity %d", capacity)
		}
		synctest.Wait()
		frames := p.sent()
		if said := frames[len(frames)-1].GetCapacity(); said.GetCapacity() != 3 {
			t.Errorf("the last frame is %v", frames[len(frames)-1])
		}
		if err := p.worker.SetCapacity(-1); ReasonOf(err) != "INVALID_ARGUMENT" {
			t.Errorf("a negative capacity: %v", err)
		}
	})
}
