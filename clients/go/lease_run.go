package everstep

import (
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
	"github.com/everstep/everstep/clients/go/internal/replay"
)

// leaseRun is one run under one lease: starts the workflow function over the journal, answers its durable calls, reacts
// to notices, and ends the lease with a result, a suspension or a release (lease_run_end.go). When the lease ends
// before the function, the goroutines of its branches are unwound.
//
// Everything but over and baton belongs to the session's goroutine.
type leaseRun struct {
	session    *session
	assignment *pb.Assignment
	// leaseKey is lease_id as a map key.
	leaseKey string
	// grant numbers the grants of this worker.
	grant        int
	runID        string
	fencingToken int64
	body         runBody

	pipe       *opPipe
	waits      *waits
	journal    *replay.Journal
	keys       *replay.Keys
	suspension *suspension
	aborts     runAborts
	turns      turns
	// touched: the run is in the session's list of runs whose turn is to be taken.
	touched bool

	// failedSteps have failed for good; a failed run may name no others.
	failedSteps map[string]bool
	// timed are the attempts with a timer.
	timed map[*attempt]bool
	// stepsRunning counts steps whose function runs, outcomesPending results that are on their way to be durable.
	stepsRunning    int
	outcomesPending int
	settlements     int
	noticesSeen     int64
	// confirmedAt is when the server last said that the lease lives, by our clock.
	confirmedAt time.Time
	// cancelled is set once the workflow may see that its cancel was requested; cancelToCome is a cancel from before
	// the grant, which counts when the replay has come to its end.
	cancelled    *CancelledError
	cancelToCome *CancelledError
	started      bool
	finishing    bool
	givingBack   bool
	idlePlanned  bool
	ended        bool

	over  chan struct{}
	baton chan struct{}
}

func newLeaseRun(s *session, assignment *pb.Assignment, body runBody) *leaseRun {
	lease := assignment.GetLease()
	run := &leaseRun{
		session:      s,
		assignment:   assignment,
		leaseKey:     string(lease.GetLeaseId()),
		runID:        lease.GetRunId(),
		fencingToken: lease.GetEpoch(),
		body:         body,
		keys:         replay.NewKeys(),
		aborts:       newRunAborts(),
		failedSteps:  map[string]bool{},
		timed:        map[*attempt]bool{},
		noticesSeen:  assignment.GetJournalThrough(),
		confirmedAt:  time.Now(),
		over:         make(chan struct{}),
		baton:        make(chan struct{}, 1),
	}
	run.journal = replay.NewJournal(run.atTurn)
	run.waits = newWaits(run)
	run.suspension = &suspension{run: run, undecided: true}
	run.pipe = &opPipe{
		lease: lease, outbox: s.sender.outbox, loop: s.loop, random: s.random, lost: run.lost, abandon: run.abandon,
	}
	return run
}

func (r *leaseRun) codec() Codec { return r.session.options.codec }

// touch makes the session take the run's turn at the end of its own.
func (r *leaseRun) touch() {
	if !r.touched {
		r.touched = true
		r.session.touched = append(r.session.touched, r)
	}
}

func (r *leaseRun) addJournal(entries []*pb.JournalEntry, continues bool) {
	if r.ended || r.started {
		return
	}
	r.journal.Add(entries)
	if !continues {
		r.start()
	}
}

func (r *leaseRun) start() {
	r.started = true
	if r.assignment.GetCancelRequested() {
		r.cancelToCome = &CancelledError{RunID: r.runID}
	}
	if r.journal.Exhausted() {
		r.replayed()
	}
	for _, signal := range r.assignment.GetOpenSignals() {
		r.waits.signalCame(signal)
	}
	r.suspension.goOn()
	r.startFunction()
	if r.cancelToCome != nil {
		r.planIdleCheck()
	}
}

func (r *leaseRun) startFunction() {
	main := newBranch(r)
	var output *pb.Payload
	// What the error says is found out on the branch's own goroutine: it calls methods of user types.
	var end ending
	function := func() (err error) {
		output, err = r.body(newContext(main), r)
		return err
	}
	r.session.loop.spawn(func() {
		main.execute(function, func(err error) {
			if err != nil {
				end = newEnding(err)
			}
			r.session.loop.post(func() {
				r.yielded(main)
				r.whenLive(func() {
					if err == nil {
						r.complete(output)
					} else {
						r.fail(end)
					}
				})
			})
		})
	})
	r.wake(main)
}

func (r *leaseRun) submit(changes []*pb.Change, bytes int, handlers opHandlers) {
	if !r.finishing {
		r.pipe.submit(changes, bytes, handlers)
	}
}

func (r *leaseRun) settle(result *pb.OpResult) {
	r.pipe.settle(result)
	if len(r.waits.pending) > 0 || r.givingBack {
		r.planIdleCheck()
	}
}

// whenLive runs now, or when it is known whether a suspension that is on its way was accepted.
func (r *leaseRun) whenLive(action func()) {
	if !r.ended {
		r.suspension.whenLive(action)
	}
}

// replayed follows a recorded result that was handed over; after the last one an earlier cancel becomes visible.
func (r *leaseRun) replayed() {
	if r.cancelToCome != nil && r.journal.Exhausted() {
		r.applyCancel(r.cancelToCome)
	}
}

func (r *leaseRun) notice(notice *pb.Notice) {
	if r.ended || notice.GetSeq() <= r.noticesSeen {
		return
	}
	r.noticesSeen = notice.GetSeq()
	r.suspension.noticed()
	r.whenLive(func() {
		r.react(notice)
		r.planIdleCheck()
	})
}

// applyCancel: from now on waits end early and the contexts have ended.
func (r *leaseRun) applyCancel(cancelled *CancelledError) {
	if r.cancelled != nil || r.finishing {
		return
	}
	r.cancelled = cancelled
	r.cancelToCome = nil
	r.aborts.cancel(cancelled)
	r.waits.cancelAll(cancelled)
}

func (r *leaseRun) mayStartStep() bool {
	if r.givingBack {
		r.planIdleCheck()
	}
	return !r.givingBack && !r.ended && !r.finishing
}

// giveBack: no new step; when none runs any more the lease goes back to its line.
func (r *leaseRun) giveBack() {
	r.givingBack = true
	r.planIdleCheck()
}

// planIdleCheck looks whether the run has nothing left to do here, when the workflow has gone as far as it can.
func (r *leaseRun) planIdleCheck() {
	if r.idlePlanned || r.ended {
		return
	}
	r.idlePlanned = true
	r.atTurn(func() {
		r.idlePlanned = false
		r.checkIdle()
	})
}

func (r *leaseRun) checkIdle() {
	switch {
	case r.ended || r.finishing || !r.started:
	case r.journal.Replaying():
		r.planIdleCheck()
	case r.cancelToCome != nil:
		// The code took another way than the history: what it did not ask for will not be handed over any more.
		r.applyCancel(r.cancelToCome)
		r.planIdleCheck()
	case r.stepsRunning > 0 || r.outcomesPending > 0:
	case r.givingBack:
		r.release(0)
	case r.cancelled == nil && !r.suspension.blocked() && r.waits.allLong():
		r.suspension.begin()
	}
}
