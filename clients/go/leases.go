package everstep

import (
	"cmp"
	"maps"
	"slices"
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// leases are all that the worker holds: finds the run that a frame speaks of, and ends leases that nobody confirmed in
// time. A lease counts from the moment its beat was sent, and is over a beat interval before the server thinks so.
type leases struct {
	session *session
	runs    map[string]*leaseRun
	// granted counts the grants of this worker.
	granted int
	beats   map[int64]sentBeat
	// listed are the runs of the last Hello, listedAt is when it was sent.
	listed   []*leaseRun
	listedAt time.Time
	expiry   *timer
	// trust is five sixths of the TTL (Welcome).
	trust time.Duration
}

type sentBeat struct {
	sentAt time.Time
	runs   []*leaseRun
}

func newLeases(s *session) *leases {
	return &leases{session: s, runs: map[string]*leaseRun{}, beats: map[int64]sentBeat{}, trust: watchdogDefault}
}

// add begins a run, unless its lease is held already.
func (l *leases) add(assignment *pb.Assignment, body runBody) {
	if l.runs[string(assignment.GetLease().GetLeaseId())] != nil {
		return
	}
	run := newLeaseRun(l.session, assignment, body)
	l.granted++
	run.grant = l.granted
	l.runs[run.leaseKey] = run
	l.planExpiry()
	run.addJournal(assignment.GetJournal(), assignment.GetJournalContinues())
}

func (l *leases) remove(run *leaseRun) { delete(l.runs, run.leaseKey) }

// all in the order of their grants: that of a map would differ from call to call.
func (l *leases) all() []*leaseRun {
	return slices.SortedFunc(maps.Values(l.runs), func(a, b *leaseRun) int { return cmp.Compare(a.grant, b.grant) })
}

func (l *leases) chunk(chunk *pb.JournalChunk) {
	if run := l.runs[string(chunk.GetLeaseId())]; run != nil {
		run.addJournal(chunk.GetJournal(), chunk.GetContinues())
	}
}

func (l *leases) settle(results *pb.OpResults) {
	for _, result := range results.GetResults() {
		// Who stood still may read an answer before its timers ring: it is no leave to go on behind the end of the lease.
		if run := l.runs[string(result.GetLeaseId())]; run != nil && !l.expire(run) {
			run.settle(result)
		}
	}
}

func (l *leases) notice(notices []*pb.Notice) {
	for _, notice := range notices {
		if run := l.runs[string(notice.GetLeaseId())]; run != nil {
			run.notice(notice)
		}
	}
}

func (l *leases) lost(lost []*pb.LostLease) {
	for _, lease := range lost {
		if run := l.runs[string(lease.GetLeaseId())]; run != nil {
			run.lost(leaseEndName(lease.GetReason()))
		}
	}
}

// dropIncomplete: a journal that was cut off will not be continued. Its lease is not listed, so the server grants it
// anew.
func (l *leases) dropIncomplete() {
	for _, run := range l.all() {
		if !run.started {
			run.lost("its journal was cut off")
		}
	}
	clear(l.beats)
}

// held is for Hello.
func (l *leases) held() []*pb.HeldLease {
	l.listed, l.listedAt = l.all(), time.Now()
	held := make([]*pb.HeldLease, len(l.listed))
	for at, run := range l.listed {
		held[at] = &pb.HeldLease{
			Lease: run.assignment.GetLease(), NoticesSeen: run.noticesSeen, LastRefusedOpId: run.pipe.unacknowledged,
		}
	}
	return held
}

// judge follows Welcome: what is kept was renewed by Hello, as by a beat, and sends again whatever has no result.
func (l *leases) judge(verdicts []*pb.Verdict) {
	kept := map[string]bool{}
	for _, verdict := range verdicts {
		key := string(verdict.GetLeaseId())
		if verdict.GetKept() {
			kept[key] = true
		} else if run := l.runs[key]; run != nil {
			run.lost(leaseEndName(verdict.GetLostReason()))
		}
	}
	for _, run := range l.all() {
		if kept[run.leaseKey] {
			run.confirmedAt = l.listedAt
			run.pipe.resend()
		} else {
			run.lost("the server does not know it")
		}
	}
	for _, run := range l.listed {
		// Given back between Hello and Welcome: the server does not know that yet.
		if run.ended && kept[run.leaseKey] {
			l.session.sender.release(run.assignment.GetLease(), 0)
		}
	}
	l.listed = nil
	l.expiry.stop() // Welcome may have named another time to trust a lease for
	l.planExpiry()
}

func (l *leases) beat(beatSeq int64) []*pb.BeatLease {
	runs := l.all()
	l.beats[beatSeq] = sentBeat{sentAt: time.Now(), runs: runs}
	listed := make([]*pb.BeatLease, len(runs))
	for at, run := range runs {
		lease := run.assignment.GetLease()
		listed[at] = &pb.BeatLease{LeaseId: lease.GetLeaseId(), Epoch: lease.GetEpoch(), NoticesSeen: run.noticesSeen}
	}
	return listed
}

func (l *leases) beatAcked(beatSeq int64, lost []*pb.LostLease) {
	l.lost(lost)
	for _, run := range l.beats[beatSeq].runs {
		run.confirmedAt = l.beats[beatSeq].sentAt
	}
	maps.DeleteFunc(l.beats, func(seq int64, _ sentBeat) bool { return seq <= beatSeq })
}

func (l *leases) planExpiry() {
	if l.expiry.pending() || len(l.runs) == 0 {
		return
	}
	oldest := time.Now()
	for _, run := range l.runs {
		if run.confirmedAt.Before(oldest) {
			oldest = run.confirmedAt
		}
	}
	delay := max(time.Millisecond, time.Until(oldest.Add(l.trust)))
	l.expiry = l.session.loop.after(delay, func() {
		for _, run := range l.all() {
			l.expire(run)
		}
		l.planExpiry()
	})
}

// expire is true when the lease is not trusted any more.
func (l *leases) expire(run *leaseRun) bool {
	if time.Since(run.confirmedAt) < l.trust {
		return false
	}
	run.lost("nobody confirmed it in time")
	return true
}

func (l *leases) close() {
	l.expiry.stop()
	clear(l.beats)
}
