package everstep

import (
	"time"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// pulse is the heartbeat of a stream: beats go out at the server's interval, and a stream on which nothing is heard is
// dropped.
type pulse struct {
	loop      *loop
	beat      func(beatSeq int64)
	silent    func(timeout time.Duration)
	beatSeq   int64
	lastFrame time.Time
	beatTimer *timer
	watchdog  *timer
}

// opened: Hello is out, Welcome must come in time.
func (p *pulse) opened() {
	p.heard()
	p.watch(welcomeTimeout)
}

// welcomed beats at once, which confirms what was kept, and from then on at the interval.
func (p *pulse) welcomed(settings *pb.SessionSettings) {
	p.watch(watchdogOf(settings))
	interval := duration(settings.GetBeatIntervalMs())
	if interval == 0 {
		interval = watchdogDefault * 2 / 5
	}
	p.beatEvery(interval)
}

func (p *pulse) beatEvery(interval time.Duration) {
	p.beatSeq++
	p.beatTimer = p.loop.after(interval, func() { p.beatEvery(interval) })
	p.beat(p.beatSeq)
}

func (p *pulse) heard() { p.lastFrame = time.Now() }

func (p *pulse) stop() {
	p.beatTimer.stop()
	p.watchdog.stop()
}

func (p *pulse) watch(timeout time.Duration) {
	p.watchdog.stop()
	left := max(time.Millisecond, timeout-time.Since(p.lastFrame))
	p.watchdog = p.loop.after(left, func() {
		if time.Since(p.lastFrame) < timeout {
			p.watch(timeout)
		} else {
			p.silent(timeout)
		}
	})
}

// watchdogOf: without any frame for this long the stream is dropped; a lease is trusted for as long.
func watchdogOf(settings *pb.SessionSettings) time.Duration {
	if settings.GetWatchdogMs() > 0 {
		return duration(settings.GetWatchdogMs())
	}
	return watchdogDefault
}
