package everstep

import (
	"slices"
	"testing"
	"time"
)

func TestThePauseBeforeANewStreamGrowsToItsCapAndBeginsAnewAfterAWelcome(t *testing.T) {
	r := &reconnect{random: func() float64 { return 1 }}
	var pauses []int64
	for range 10 {
		pauses = append(pauses, r.nextDelay(false).Milliseconds())
	}
	if !slices.Equal(pauses, []int64{200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000}) {
		t.Errorf("pauses %v", pauses)
	}
	if slow := r.nextDelay(true); slow != time.Minute {
		t.Errorf("waits %v for what waiting does not heal", slow)
	}
	r.succeeded()
	if again := r.nextDelay(false); again != 200*time.Millisecond {
		t.Errorf("waits %v after a Welcome", again)
	}
}
