package replay

import (
	"slices"
	"testing"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

func completed(key string) *pb.JournalEntry {
	return &pb.JournalEntry{StepKey: key, Entry: &pb.JournalEntry_Completed{Completed: &pb.JournalCompleted{}}}
}

func retrying(key string) *pb.JournalEntry {
	return &pb.JournalEntry{StepKey: key, Entry: &pb.JournalEntry_Retrying{Retrying: &pb.JournalRetrying{Attempt: 1}}}
}

func TestResultsAreHandedOverInTheRecordedOrder(t *testing.T) {
	var turns []func()
	journal := NewJournal(func(run func()) { turns = append(turns, run) })
	journal.Add([]*pb.JournalEntry{completed("skipped"), completed("b"), completed("a")})
	var handed []string
	journal.Deliver("a", func() { handed = append(handed, "a") })
	journal.Deliver("b", func() { handed = append(handed, "b") })
	if len(handed) != 0 || !journal.Replaying() {
		t.Fatalf("handed %v before the turn", handed)
	}
	for len(turns) > 0 {
		run := turns[0]
		turns = turns[1:]
		run()
	}
	if !slices.Equal(handed, []string{"b", "a"}) || journal.Replaying() {
		t.Fatalf("handed %v", handed)
	}
}

func TestTheNextResultIsHandedOverAtOnce(t *testing.T) {
	journal := NewJournal(func(func()) { t.Fatal("a turn was planned") })
	journal.Add([]*pb.JournalEntry{completed("a"), completed("b")})
	count := 0
	journal.Deliver("a", func() { count++ })
	journal.Deliver("b", func() { count++ })
	if count != 2 || !journal.Exhausted() {
		t.Fatalf("%d were handed over", count)
	}
}

func TestAResultStaysAnythingElseGivesWay(t *testing.T) {
	journal := NewJournal(func(func()) {})
	started := &pb.JournalEntry{StepKey: "a", Entry: &pb.JournalEntry_Started{Started: &pb.JournalStarted{Attempt: 1}}}
	journal.Add([]*pb.JournalEntry{started, completed("a"), retrying("a")})
	if journal.Find("a").GetCompleted() == nil {
		t.Fatalf("found %v", journal.Find("a"))
	}
	journal.Add([]*pb.JournalEntry{retrying("b"), completed("b")})
	if journal.Find("b").GetCompleted() == nil {
		t.Fatal("the result did not take the place of the retry")
	}
}

func TestKinds(t *testing.T) {
	timer := &pb.JournalEntry{Entry: &pb.JournalEntry_Timer{Timer: &pb.JournalTimer{SignalName: "go"}}}
	fired := &pb.JournalEntry{Entry: &pb.JournalEntry_TimerFired{TimerFired: &pb.JournalTimerFired{}}}
	for entry, want := range map[*pb.JournalEntry]Kind{completed("a"): Step, timer: Signal, fired: Sleep, {}: Unknown} {
		if kind := KindOf(entry); kind != want {
			t.Errorf("%v is a %s, not a %s", entry, kind, want)
		}
	}
}
