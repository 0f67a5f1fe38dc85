import os from "node:os";
import { performance } from "node:perf_hooks";

/** Time as the engine sees it. The simulator and the tests bring their own. */
export interface Clock {
  /** Milliseconds since some instant; never goes back, and goes on while the machine sleeps. */
  elapsedMs(): number;
  /** Unix milliseconds of the wall clock. Read at start only: jumps count at the next start. */
  wallMs(): number;
  /** Calls back once, at the given elapsed instant or soon after; the result cancels it. */
  setTimer(atElapsedMs: number, run: () => void): () => void;
  /** Calls back soon, after input that is already here. */
  defer(run: () => void): void;
}

/** Node's timers fire at once above this, so longer ones are cut and set again. */
const timerMsMax = 2_000_000_000;

export function createSystemClock(): Clock {
  // performance.now() stands still while the machine sleeps, os.uptime() does not: the difference is the sleep.
  let sleptMs = 0;
  let uptimeLeadMs = os.uptime() * 1_000 - performance.now();
  function elapsedMs(): number {
    return performance.now() + sleptMs;
  }
  const watch = setInterval(() => {
    const leadMs = os.uptime() * 1_000 - performance.now();
    if (leadMs - uptimeLeadMs > 1_000) {
      sleptMs += leadMs - uptimeLeadMs;
      uptimeLeadMs = leadMs;
    }
  }, 1_000);
  watch.unref();
  return {
    elapsedMs,
    wallMs: () => Date.now(),
    setTimer(atElapsedMs, run) {
      const delayMs = Math.min(Math.max(0, Math.ceil(atElapsedMs - elapsedMs())), timerMsMax);
      const timer = setTimeout(run, delayMs);
      timer.unref();
      return () => clearTimeout(timer);
    },
    defer(run) {
      setImmediate(run);
    },
  };
}
