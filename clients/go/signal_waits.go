package everstep

import (
	"fmt"
	"slices"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// signal waits for a signal. timeout is nil for ever; pending is set when its timer was set under an earlier lease.
func (w *waits) signal(key, name string, timeout *time.Duration, pending bool, f *future) {
	waiting := &wait{kind: signalWait, key: key, name: name, future: f}
	w.pending = append(w.pending, waiting)
	if pending {
		waiting.dueAt = time.Now().Add(*timeout)
	} else {
		waiting.timeout = timeout
	}
	w.matchSignals(name)
	if waiting.consuming {
		w.run.planIdleCheck()
		return
	}
	if w.run.cancelled != nil {
		w.end(waiting)
		f.reject(w.run.cancelled)
		return
	}
	w.armTimeout(waiting)
	w.run.planIdleCheck()
}

func (w *waits) signalCame(signal *pb.Signal) {
	w.open[signal.GetName()]++
	w.matchSignals(signal.GetName())
}

// armTimeout sets the timer at the first moment at which no signal is there.
func (w *waits) armTimeout(waiting *wait) {
	if waiting.timeout == nil {
		return
	}
	timeout := *waiting.timeout
	waiting.timeout = nil
	waiting.dueAt = time.Now().Add(timeout)
	w.setTimer(waiting.key, timeout, waiting.name)
}

func (w *waits) matchSignals(name string) {
	open := w.open[name]
	for _, waiting := range slices.Clone(w.pending) {
		if open == 0 {
			break
		}
		if waiting.kind != signalWait || waiting.name != name || waiting.consuming {
			continue
		}
		open--
		w.consume(waiting)
	}
	if open > 0 {
		w.open[name] = open
	} else {
		delete(w.open, name)
	}
}

func (w *waits) consume(waiting *wait) {
	run := w.run
	waiting.consuming = true
	run.outcomesPending++
	run.submit([]*pb.Change{consumeSignalChange(waiting.key, waiting.name)}, 0, opHandlers{
		adds: addsSignal,
		applied: func(applied *pb.OpApplied) {
			run.outcomesPending--
			consumed := consumedSignal(applied)
			if consumed == nil {
				run.abandon(fmt.Sprintf("the signal for %s came without its content", waiting.key))
				return
			}
			if w.end(waiting) {
				waiting.future.resolve(consumed.GetPayload())
			}
		},
		refused: func(refusal *pb.OpRefusal) {
			run.outcomesPending--
			w.notConsumed(waiting, refusal)
		},
	})
}

func consumedSignal(applied *pb.OpApplied) *pb.ConsumedSignal {
	if len(applied.GetResults()) == 0 {
		return nil
	}
	return applied.GetResults()[0].GetSignal()
}

func (w *waits) notConsumed(waiting *wait, refusal *pb.OpRefusal) {
	waiting.consuming = false
	stillWaiting := slices.Contains(w.pending, waiting)
	switch refusal.GetReason() {
	case pb.ErrorReason_ERROR_REASON_NO_SIGNAL:
		// The count was wrong; the notice of the next one is to come.
	case pb.ErrorReason_ERROR_REASON_WAIT_TIMED_OUT:
		w.open[waiting.name]++ // the signal stays open for the next waiter
		if w.end(waiting) {
			waiting.timedOut()
		}
		w.matchSignals(waiting.name)
		return
	default:
		if w.end(waiting) {
			w.run.refuseCall(refusal, waiting.future, waiting.key, "wait for a signal")
		}
		return
	}
	if !stillWaiting {
		return
	}
	if w.run.cancelled != nil {
		w.end(waiting)
		waiting.future.reject(w.run.cancelled)
		return
	}
	w.armTimeout(waiting)
	w.matchSignals(waiting.name)
	w.run.planIdleCheck()
}
