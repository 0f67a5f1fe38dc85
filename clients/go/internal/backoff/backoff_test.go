package backoff

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestFullJitterStaysWithinItsExponentialBound(t *testing.T) {
	for failures := range 200 {
		for range 20 {
			chance := rand.Float64()
			delay := FullJitter(failures, Reconnect, func() float64 { return chance })
			bound := Reconnect.Max
			if failures < 9 {
				bound = min(bound, Reconnect.Base<<max(failures-1, 0))
			}
			if delay < 0 || delay > bound {
				t.Fatalf("after %d failures: %v is not within 0 and %v", failures, delay, bound)
			}
		}
	}
}

func TestFullJitterReachesItsLargestBound(t *testing.T) {
	almost := func() float64 { return 0.999999 }
	if delay := FullJitter(1_000_000, Reconnect, almost); delay < 29*time.Second {
		t.Fatalf("a long outage waits %v", delay)
	}
}

func TestSlowIsHalfAMinuteToAMinute(t *testing.T) {
	for range 100 {
		if delay := Slow(rand.Float64); delay < 30*time.Second || delay > time.Minute {
			t.Fatalf("slow delay %v", delay)
		}
	}
}
