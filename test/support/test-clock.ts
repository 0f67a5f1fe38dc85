import type { Clock } from "../../src/engine/clock.ts";

/** Time that moves only when told. Deferred work runs as real immediates: it is order, not time. */
export class TestClock implements Clock {
  private nowMs = 0;
  private readonly startMs: number;
  private timers: { atMs: number; order: number; run: () => void }[] = [];
  private order = 0;

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.startMs = startMs;
  }
  elapsedMs(): number {
    return this.nowMs;
  }
  wallMs(): number {
    return this.startMs;
  }
  setTimer(atElapsedMs: number, run: () => void): () => void {
    const timer = { atMs: atElapsedMs, order: this.order++, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }
  defer(run: () => void): void {
    setImmediate(run);
  }
  /** Time passes, and nothing has run meanwhile. */
  standStill(ms: number): void {
    this.nowMs += ms;
  }
  /** Runs what comes due on the way, one timer after the other, letting the engine settle in between. */
  async advanceMs(ms: number, settle: () => Promise<void>): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      await settle();
      const next = this.timers.sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.timers.shift();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    this.nowMs = endMs;
    await settle();
  }
}
