import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";

// Virtual time: what is due runs in order of (instant, order of asking), and all microtasks are drained in between.
// Nothing here waits for a real timer.

/**
 * What may be spent at one instant. A look at the clock costs 1; a server that stood still for a minute needs 4,000. A
 * scan of a line costs 100: there is one for some grants.
 */
const spentMax = 200_000;

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class Timeline {
  nowMs = 0;
  /** What happened, as text, kept only when somebody wants to read it. */
  readonly lines: string[] | undefined;
  readonly #heap: Due[] = [];
  readonly #hash = createHash("sha256");
  #order = 0;
  steps = 0;
  /** What was spent at this instant. */
  #spent = 0;
  #spentAtMs = 0;

  constructor(keepLines = false) {
    this.lines = keepLines ? [] : undefined;
  }

  trace(line: string): void {
    const text = `${this.nowMs.toFixed(3)} ${line}`;
    this.#hash.update(text);
    this.lines?.push(text);
  }
  /** Something that was told, as it was told. */
  note(told: Uint8Array | string): void {
    this.#hash.update(told);
  }
  /** Equal for two worlds in which the same happened at the same instants. */
  digest(): string {
    return this.#hash.digest("hex").slice(0, 16);
  }

  /** Work that takes no virtual time must end: whoever goes round in circles at one instant is told to stop. */
  spend(amount: number): boolean {
    if (this.#spentAtMs !== this.nowMs) {
      this.#spentAtMs = this.nowMs;
      this.#spent = 0;
    }
    this.#spent += amount;
    return this.#spent <= spentMax;
  }

  at(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const due = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, run };
    let place = heap.length;
    heap.push(due);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(due, heap[parent] as Due)) break;
      heap[place] = heap[parent] as Due;
      place = parent;
    }
    heap[place] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Due, heap[child] as Due)) child += 1;
      if (!before(heap[child] as Due, last)) break;
      heap[place] = heap[child] as Due;
      place = child;
    }
    heap[place] = last;
    return first;
  }

  /** Runs until the instant, or until `done` says so after a step. */
  async runUntil(endMs: number, done: () => boolean): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#pop();
      this.nowMs = next.atMs;
      this.steps += 1;
      next.run();
      await turn();
      if (done()) return;
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }
}

function before(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Something that can be killed and stopped: what it asked to run later runs while it lives and moves. */
export class Process {
  readonly timeline: Timeline;
  readonly name: string;
  alive = true;
  stoppedUntilMs = 0;
  /** Called once for a stop, when something that is due waits for its end. */
  #held: (() => void) | undefined;

  constructor(timeline: Timeline, name: string) {
    this.timeline = timeline;
    this.name = name;
  }
  at(atMs: number, run: () => void): () => void {
    let cancelled = false;
    const fire = (): void => {
      if (!this.alive || cancelled) return;
      if (this.stoppedUntilMs <= this.timeline.nowMs) return run();
      this.#held?.();
      this.#held = undefined;
      this.timeline.at(this.stoppedUntilMs, fire);
    };
    this.timeline.at(atMs, fire);
    return () => {
      cancelled = true;
    };
  }
  in(delayMs: number, run: () => void): () => void {
    return this.at(this.timeline.nowMs + delayMs, run);
  }
  /** Never resolves when the process dies meanwhile. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.in(ms, resolve));
  }
  stopFor(ms: number, held: () => void): void {
    this.#held = held;
    this.stoppedUntilMs = Math.max(this.stoppedUntilMs, this.timeline.nowMs + ms);
  }
}
