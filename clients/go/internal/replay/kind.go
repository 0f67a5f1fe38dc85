package replay

import pb "github.com/everstep/everstep/clients/go/everstepv1"

// Kind is the word for an entry in an error message.
type Kind string

// The kinds of entries. Unknown is an entry of a later version.
const (
	Step    Kind = "step"
	Sleep   Kind = "sleep"
	Signal  Kind = "wait for a signal"
	Unknown Kind = "unknown entry"
)

// KindOf tells what the code must have asked for to get this entry recorded.
func KindOf(entry *pb.JournalEntry) Kind {
	switch recorded := entry.GetEntry().(type) {
	case *pb.JournalEntry_Completed, *pb.JournalEntry_Failed, *pb.JournalEntry_Retrying, *pb.JournalEntry_Started:
		return Step
	case *pb.JournalEntry_Signal:
		return Signal
	case *pb.JournalEntry_Timer:
		return timerKind(recorded.Timer.GetSignalName())
	case *pb.JournalEntry_TimerFired:
		return timerKind(recorded.TimerFired.GetSignalName())
	case *pb.JournalEntry_TimerCancelled:
		return timerKind(recorded.TimerCancelled.GetSignalName())
	default:
		return Unknown
	}
}

func timerKind(signalName string) Kind {
	if signalName == "" {
		return Sleep
	}
	return Signal
}
