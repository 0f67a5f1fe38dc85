package everstep

// SessionState says what a worker's session is doing.
type SessionState string

// The states of a session. Connecting: Hello is out; active: Welcome came; waiting: the next stream is opened after a
// pause.
const (
	SessionIdle       SessionState = "idle"
	SessionConnecting SessionState = "connecting"
	SessionActive     SessionState = "active"
	SessionWaiting    SessionState = "waiting"
	SessionDraining   SessionState = "draining"
	SessionClosed     SessionState = "closed"
)

// Health is what a worker says of itself, for probes.
type Health struct {
	// Connected is true while the session is up.
	Connected bool
	State     SessionState
	SessionID string
	// Held is how many runs it works on.
	Held     int
	Capacity int
	// LastError is why the last stream ended, until the next one is up.
	LastError string
}

func (s *session) state() SessionState {
	switch {
	case s.closed:
		return SessionClosed
	case s.draining:
		return SessionDraining
	case s.welcomed:
		return SessionActive
	case s.stream != nil:
		return SessionConnecting
	case s.comeback.pending():
		return SessionWaiting
	default:
		return SessionIdle
	}
}

// publishHealth lets other goroutines see the state at the end of a turn.
func (s *session) publishHealth() {
	now := Health{
		Connected: s.welcomed,
		State:     s.state(),
		SessionID: s.resume.GetSessionId(),
		Held:      len(s.leases.runs),
		Capacity:  s.capacity,
		LastError: s.lastError,
	}
	if before := s.health.Load(); before == nil || *before != now {
		s.health.Store(&now)
	}
}
