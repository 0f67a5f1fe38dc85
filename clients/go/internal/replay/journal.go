package replay

import pb "github.com/everstep/everstep/clients/go/everstepv1"

// Journal is what the history says for each step key, and in which order it said so.
//
// A replayed workflow must see results in the order in which they were recorded: with two branches, that order decides
// who wins a race and who claims a repeated key. So a recorded result is handed over at once only if all earlier ones
// have been; otherwise it waits until the code has gone as far as it can (a turn) and nobody asks for an earlier one.
// Entries that nobody asks for (the code took another way after RetryRun) block nothing.
type Journal struct {
	entries map[string]*pb.JournalEntry
	results map[string]*result
	order   []*result
	atTurn  func(func())
	next    int
	waiting int
	planned bool
}

type result struct {
	delivered bool
	hand      func()
}

// NewJournal returns an empty journal. atTurn runs a function when the code has gone as far as it can.
func NewJournal(atTurn func(func())) *Journal {
	return &Journal{entries: map[string]*pb.JournalEntry{}, results: map[string]*result{}, atTurn: atTurn}
}

// Add appends in order of the events. A result stays; anything else gives way to what came later.
func (j *Journal) Add(entries []*pb.JournalEntry) {
	for _, entry := range entries {
		j.Record(entry)
	}
}

// Record appends one entry.
func (j *Journal) Record(entry *pb.JournalEntry) {
	key := entry.GetStepKey()
	if j.results[key] != nil {
		return
	}
	j.entries[key] = entry
	if !isResult(entry) {
		return
	}
	recorded := &result{}
	j.results[key] = recorded
	j.order = append(j.order, recorded)
}

// Find returns what is recorded for a step key; nil for nothing.
func (j *Journal) Find(key string) *pb.JournalEntry {
	return j.entries[key]
}

// Replaying is true while a recorded result waits for its turn.
func (j *Journal) Replaying() bool {
	return j.waiting > 0
}

// Exhausted is true when every recorded result was handed over.
func (j *Journal) Exhausted() bool {
	return j.next == len(j.order)
}

// Deliver calls hand when the recorded result of key is due in the recorded order.
func (j *Journal) Deliver(key string, hand func()) {
	recorded := j.results[key]
	if recorded == nil || recorded.delivered {
		panic("everstep: no result to deliver for step key " + key)
	}
	if recorded == j.order[j.next] {
		j.handOver(recorded, hand)
		return
	}
	recorded.hand = hand
	j.waiting++
	j.planTurn()
}

func (j *Journal) handOver(recorded *result, hand func()) {
	recorded.delivered = true
	for j.next < len(j.order) && j.order[j.next].delivered {
		j.next++
	}
	hand()
}

func (j *Journal) planTurn() {
	if j.planned {
		return
	}
	j.planned = true
	j.atTurn(func() {
		j.planned = false
		for _, recorded := range j.order[j.next:] {
			if recorded.hand == nil {
				continue
			}
			hand := recorded.hand
			recorded.hand = nil
			j.waiting--
			j.handOver(recorded, hand)
			break
		}
		if j.waiting > 0 {
			j.planTurn()
		}
	})
}

func isResult(entry *pb.JournalEntry) bool {
	switch entry.GetEntry().(type) {
	case *pb.JournalEntry_Completed, *pb.JournalEntry_Failed, *pb.JournalEntry_Signal, *pb.JournalEntry_TimerFired:
		return true
	default:
		return false
	}
}
