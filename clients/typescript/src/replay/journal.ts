// What the history says for each step key, and in which order it said so.
//
// A replayed workflow must see results in the order in which they were recorded: with two branches, that order decides
// who wins a race and who claims a repeated key. So a recorded result is handed over at once only if all earlier ones
// have been; otherwise it waits until the code has gone as far as it can (one turn of the event loop) and nobody asks
// for an earlier one. Entries that nobody asks for (the code took another way after RetryRun) block nothing.
import type { JournalEntry } from "../../../../gen/ts/everstep/v1/worker_service_pb.ts";

export type Recorded = JournalEntry["entry"];

interface Result {
  delivered: boolean;
  waiter: (() => void) | undefined;
}

export class Journal {
  readonly #entries = new Map<string, Recorded>();
  readonly #results = new Map<string, number>();
  readonly #order: Result[] = [];
  readonly #defer: (run: () => void) => void;
  #next = 0;
  #waiting = 0;
  #turnPlanned = false;

  constructor(defer: (run: () => void) => void) {
    this.#defer = defer;
  }

  /** Appends in order of the events. A result stays; anything else gives way to what came later. */
  add(entries: readonly JournalEntry[]): void {
    for (const entry of entries) this.record(entry.stepKey, entry.entry);
  }

  record(stepKey: string, recorded: Recorded): void {
    if (this.#results.has(stepKey)) return;
    this.#entries.set(stepKey, recorded);
    if (!isResult(recorded)) return;
    this.#results.set(stepKey, this.#order.length);
    this.#order.push({ delivered: false, waiter: undefined });
  }

  find(stepKey: string): Recorded | undefined {
    return this.#entries.get(stepKey);
  }

  /** True while a recorded result waits for its turn: the workflow is still replaying. */
  get replaying(): boolean {
    return this.#waiting > 0;
  }

  /** True when every recorded result was handed over. */
  get exhausted(): boolean {
    return this.#next === this.#order.length;
  }

  /** Calls `hand` when the result of `stepKey` is due in the recorded order. */
  deliver(stepKey: string, hand: () => void): void {
    const result = this.#order[this.#results.get(stepKey) ?? -1];
    if (result === undefined) throw new Error(`no result recorded for ${stepKey}`);
    if (result === this.#order[this.#next]) {
      this.#hand(result, hand);
      return;
    }
    result.waiter = hand;
    this.#waiting += 1;
    this.#planTurn();
  }

  #hand(result: Result, hand: () => void): void {
    result.delivered = true;
    while (this.#order[this.#next]?.delivered) this.#next += 1;
    hand();
  }

  #planTurn(): void {
    if (this.#turnPlanned) return;
    this.#turnPlanned = true;
    this.#defer(() => {
      this.#turnPlanned = false;
      for (let index = this.#next; index < this.#order.length; index += 1) {
        const result = this.#order[index];
        const waiter = result?.waiter;
        if (result === undefined || waiter === undefined) continue;
        result.waiter = undefined;
        this.#waiting -= 1;
        this.#hand(result, waiter);
        break;
      }
      if (this.#waiting > 0) this.#planTurn();
    });
  }
}

function isResult(recorded: Recorded): boolean {
  switch (recorded.case) {
    case "completed":
    case "failed":
    case "signal":
    case "timerFired":
      return true;
    default:
      return false;
  }
}

/** The word for an entry in an error message. */
export function kindOf(recorded: Recorded): "step" | "sleep" | "wait for a signal" | "unknown entry" {
  switch (recorded.case) {
    case "completed":
    case "failed":
    case "retrying":
    case "started":
      return "step";
    case "signal":
      return "wait for a signal";
    case "timer":
    case "timerFired":
    case "timerCancelled":
      return recorded.value.signalName === "" ? "sleep" : "wait for a signal";
    default:
      return "unknown entry";
  }
}
