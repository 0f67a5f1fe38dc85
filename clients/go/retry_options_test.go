package everstep

import (
	"math"
	"testing"
)

func TestAttemptsBeyondTheWireAreTheMostThatItCarries(t *testing.T) {
	for given, want := range map[int]int32{3: 3, Unlimited: 0, math.MaxInt32: math.MaxInt32, math.MaxInt64: math.MaxInt32} {
		if got := wirePolicy(&RetryOptions{MaxAttempts: given}, false).GetMaxAttempts(); got != want {
			t.Errorf("MaxAttempts %d is %d on the wire, not %d", given, got, want)
		}
	}
}
