import type { Clock } from "./clock.ts";

// Server time = max(wall clock at start, newest instant in the file) + elapsed time. It never goes back, not even over
// a restart with a wall clock that was set back; a jump of the wall clock while the server runs is not seen at all.

export interface ServerTime {
  /** Unix milliseconds of server time, an integer. */
  nowMs(): number;
  /** The elapsed instant at which server time reaches the given one. */
  elapsedAtMs(serverMs: number): number;
  /** How far server time was ahead of the wall clock at start. */
  readonly aheadMs: number;
}

export function createServerTime(clock: Clock, newestAtMs: number, resetClock: boolean): ServerTime {
  const wallMs = clock.wallMs();
  const startMs = resetClock ? wallMs : Math.max(wallMs, newestAtMs);
  const offsetMs = startMs - clock.elapsedMs();
  let lastMs = Math.floor(startMs);
  return {
    nowMs() {
      const nowMs = Math.floor(offsetMs + clock.elapsedMs());
      if (nowMs > lastMs) lastMs = nowMs;
      return lastMs;
    },
    elapsedAtMs: (serverMs) => serverMs - offsetMs,
    aheadMs: Math.max(0, startMs - wallMs),
  };
}
