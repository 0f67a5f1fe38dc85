import type { Chance } from "./chance.ts";
import type { Process, Timeline } from "./timeline.ts";

// One connection carries one ordered stream each way. It can be cut (each end learns of it later, one of them perhaps
// never), and one direction can be stalled. Streams are independent: messages of two connections overtake each other.

export interface End {
  readonly process: Process;
  message(bytes: Uint8Array): void;
  /** The other end has said its last word. */
  finished(): void;
  broken(): void;
}

export class Connection {
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #ends: [End, End];
  readonly #lastMs: [number, number] = [0, 0];
  readonly #stalledUntilMs: [number, number] = [0, 0];
  readonly #told: [boolean, boolean] = [false, false];
  /** Called once for a stall, when something waits behind it. */
  readonly #held: [(() => void) | undefined, (() => void) | undefined] = [undefined, undefined];
  readonly latencyMs: number;
  readonly index: number;
  up = true;

  constructor(timeline: Timeline, chance: Chance, ends: [End, End], latencyMs: number, index: number) {
    this.#timeline = timeline;
    this.#chance = chance;
    this.#ends = ends;
    this.latencyMs = latencyMs;
    this.index = index;
  }

  /** From end `from` (0: worker, 1: server) to the other. */
  #deliver(from: 0 | 1, run: (end: End) => void): void {
    if (!this.up) return;
    const to = from === 0 ? 1 : 0;
    const arrivesMs = this.#timeline.nowMs + this.latencyMs * (0.2 + this.#chance.float());
    if (this.#stalledUntilMs[from] > arrivesMs) this.waits(from);
    const atMs = Math.max(arrivesMs, this.#lastMs[from], this.#stalledUntilMs[from]);
    this.#lastMs[from] = atMs;
    this.#ends[to].process.at(atMs, () => {
      if (this.#stalledUntilMs[from] > this.#timeline.nowMs) {
        if (this.up) this.waits(from);
        this.#ends[to].process.at(this.#stalledUntilMs[from], () => this.#arrive(to, run));
      } else this.#arrive(to, run);
    });
  }
  #arrive(to: 0 | 1, run: (end: End) => void): void {
    if (this.up && !this.#told[to]) run(this.#ends[to]);
  }
  send(from: 0 | 1, bytes: Uint8Array): void {
    this.#deliver(from, (end) => end.message(bytes));
  }
  finish(from: 0 | 1): void {
    this.#deliver(from, (end) => end.finished());
  }
  /** Until when nothing moves from this end; the past when it flows. */
  stalledUntilMs(from: 0 | 1): number {
    return this.#stalledUntilMs[from];
  }
  stall(from: 0 | 1, ms: number, held: () => void): void {
    this.#stalledUntilMs[from] = this.#timeline.nowMs + ms;
    this.#held[from] = held;
  }
  /** Something from this end waits behind the stall. */
  waits(from: 0 | 1): void {
    this.#held[from]?.();
    this.#held[from] = undefined;
  }
  /**
   * What is under way is lost. Each end learns of it after its time; undefined: only from its own watchdog. False when
   * there was nothing left to cut.
   */
  cut(toldMs: readonly [number | undefined, number | undefined]): boolean {
    if (!this.up) return false;
    this.up = false;
    for (const side of [0, 1] as const) {
      const ms = toldMs[side];
      if (ms !== undefined) this.#ends[side].process.in(ms, () => this.#tell(side));
    }
    return true;
  }
  #tell(side: 0 | 1): void {
    if (this.#told[side]) return;
    this.#told[side] = true;
    this.#ends[side].broken();
  }
}
