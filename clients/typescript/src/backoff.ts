/** Bounds of a back-off in milliseconds. */
export interface BackoffBounds {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Between two streams of a session: short enough to keep a lease alive, long enough not to storm a restarting server. */
export const reconnectBackoff: BackoffBounds = { baseMs: 200, maxMs: 30_000 };

/** For an op that a full queue or disk refused. */
export const busyBackoff: BackoffBounds = { baseMs: 100, maxMs: 5_000 };

/** For unary calls of the client: short enough that a server which is back for two seconds is not missed. */
export const callBackoff: BackoffBounds = { baseMs: 50, maxMs: 1_000 };

/** After an error that waiting does not heal (wrong key, wrong version): 30 to 60 s, so that the log stays readable. */
export function slowDelayMs(random: () => number): number {
  return 30_000 + random() * 30_000;
}

/** Full jitter: anything between 0 and the exponential bound, so that a thousand workers come back spread out. */
export function fullJitterMs(failures: number, bounds: BackoffBounds, random: () => number): number {
  const exponent = Math.min(Math.max(failures - 1, 0), 30);
  return random() * Math.min(bounds.maxMs, bounds.baseMs * 2 ** exponent);
}
