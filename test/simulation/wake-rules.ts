import type { Await, RunEvent } from "../../src/core/event.ts";
import type { RunRow } from "../../src/store/store.ts";

// No lost wake-up (I9): what a suspended run waits for wakes it in the commit that has it. So no durable row says
// WAITING while something that the run awaits is there, by the events alone. Without this rule a signal that wakes
// nobody is hidden by the next one that does. And nothing else wakes it, but a cancel.

interface Waits {
  awaits: readonly Await[];
  /** It was suspended, and nothing but what it awaits may bring it back. */
  waits: boolean;
  /** When the next attempt of a step is due, in server time. */
  readonly retries: Map<string, number>;
  /** Signals that are received and neither consumed nor taken, by seq. */
  readonly open: Map<number, string>;
  readonly timers: Set<string>;
  status: RunRow["status"];
}

export class WakeRules {
  readonly #runs = new Map<number, Waits>();

  /** A durable event; answers with what is broken. */
  event(runNo: number, event: RunEvent): string | undefined {
    const run = this.#of(runNo);
    switch (event.type) {
      case "LeaseGranted":
        if (run.waits && !this.isThere(runNo, run.awaits, event.atMs))
          return "I9 granted, and nothing of its waits has come";
        run.waits = false;
        break;
      case "CancelRequested":
      case "RunReopened":
        run.waits = false;
        break;
      case "StepAttemptFailed":
        run.retries.set(event.stepKey, event.detail.retryAtMs);
        break;
      case "SignalReceived":
        run.open.set(event.seq, event.detail.name);
        break;
      case "SignalConsumed":
        run.open.delete(event.detail.signalSeq);
        run.timers.delete(event.stepKey);
        break;
      case "TimerSet":
        run.timers.add(event.stepKey);
        break;
      case "TimerFired":
      case "TimerCancelled":
        run.timers.delete(event.stepKey);
        break;
      case "RunSuspended":
        run.awaits = event.detail.awaits;
        run.waits = event.detail.cancelUnseen !== true;
        break;
      default:
        break;
    }
    return undefined;
  }

  /** Whether something awaited is there at this instant of server time. */
  isThere(runNo: number, awaits: readonly Await[], atMs: number): boolean {
    const { timers, retries } = this.#of(runNo);
    return awaits.some((awaited) => {
      if (awaited.kind === "signal") return this.isOpen(runNo, awaited.name);
      if (awaited.kind === "timer") return !timers.has(awaited.stepKey);
      return awaited.kind === "retry" && (retries.get(awaited.stepKey) ?? 0) <= atMs;
    });
  }

  /** A durable row. */
  row({ runNo, status }: RunRow): void {
    this.#of(runNo).status = status;
  }

  /** What is there although the run still waits for it, when all of a batch was told; undefined when that is nothing. */
  missed(runNo: number): string | undefined {
    const { status, awaits, timers } = this.#of(runNo);
    if (status !== "WAITING") return undefined;
    for (const awaited of awaits) {
      if (awaited.kind === "signal" && this.isOpen(runNo, awaited.name)) return `signal ${awaited.name}`;
      if (awaited.kind === "timer" && !timers.has(awaited.stepKey)) return `timer ${awaited.stepKey}`;
    }
    return undefined;
  }

  /** True while a signal of this name is there that no step has consumed. */
  isOpen(runNo: number, name: string): boolean {
    for (const open of this.#of(runNo).open.values()) if (open === name) return true;
    return false;
  }

  #of(runNo: number): Waits {
    let run = this.#runs.get(runNo);
    if (run === undefined) {
      run = { awaits: [], waits: false, retries: new Map(), open: new Map(), timers: new Set(), status: "QUEUED" };
      this.#runs.set(runNo, run);
    }
    return run;
  }
}
