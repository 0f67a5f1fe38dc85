package everstep

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestAKeptLeaseIsConfirmedByItsVerdictAlsoWhenNoBeatGetsThrough(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		var cause atomic.Pointer[error]
		p.run(hanging(&cause), nil)
		p.mutex.Lock()
		p.deaf = true
		p.mutex.Unlock()
		for range 12 {
			p.advance(10 * time.Second)
			p.cut()
		}
		if why := cause.Load(); why != nil {
			t.Errorf("the handler was ended: %v", *why)
		}
		p.wantHeld(1)
	})
}
