import { helloDelayMsMax, helloReturnsPerSecond, hellosPerSecondMax } from "../limits.ts";

// A restart must not become a storm: the gate lets a bounded number of Hellos through in any second, wherever that
// second begins, and tells each of the others a moment of its own to come back at. It remembers the last admissions and
// one promise, however many come.

/** What a refused worker is told. */
export interface Return {
  readonly afterMs: number;
  /** Upper bound of what the worker adds by chance. */
  readonly jitterMs: number;
}

const windowMs = 1_000;

export class HelloGate {
  /** When the last Hellos were admitted; the oldest stands at `#oldest`. */
  readonly #admittedAtMs = new Float64Array(hellosPerSecondMax).fill(Number.NEGATIVE_INFINITY);
  #oldest = 0;
  /** The last moment that was promised to somebody. */
  #promisedMs = Number.NEGATIVE_INFINITY;

  /** Nothing when the Hello is welcome now. */
  enter(nowMs: number): Return | undefined {
    const freeAtMs = (this.#admittedAtMs[this.#oldest] as number) + windowMs;
    if (freeAtMs <= nowMs) {
      this.#admittedAtMs[this.#oldest] = nowMs;
      this.#oldest = (this.#oldest + 1) % hellosPerSecondMax;
      return undefined;
    }
    const promisedMs = Math.max(this.#promisedMs + 1_000 / helloReturnsPerSecond, freeAtMs);
    // So many wait that the next free moment is far: their own chance must spread them.
    if (promisedMs - nowMs > helloDelayMsMax) return { afterMs: helloDelayMsMax, jitterMs: helloDelayMsMax };
    this.#promisedMs = promisedMs;
    return { afterMs: Math.ceil(promisedMs - nowMs), jitterMs: windowMs };
  }
}
