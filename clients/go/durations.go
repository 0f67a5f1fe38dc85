package everstep

import (
	"math"
	"time"
)

// milliseconds rounds up: nothing is due earlier than the code said.
func milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// duration reads milliseconds of the wire, of which some are longer than a time.Duration can be.
func duration(ms int64) time.Duration {
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(max(ms, 0)) * time.Millisecond
}
