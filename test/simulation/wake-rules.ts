import type { Await, RunEvent } from "../../src/core/event.ts";
import type { RunRow } from "../../src/store/store.ts";
import type { Fired } from "./fired.ts";

// No lost wake-up (I9): what a suspended run waits for wakes it in the commit that has it. So no durable row says
// WAITING while something that the run awaits is there, by the events alone. Without this rule a signal that wakes
// nobody is hidden by the next one that does. And nothing else wakes it, but a cancel. A signal for a wait whose step key
// the suspend named is that wait's result in the same commit, and no signal becomes a result without a lease otherwise.

interface Waits {
  awaits: readonly Await[];
  /** It was suspended, and nothing but what it awaits may bring it back. */
  waits: boolean;
  /** It waits now: nothing that it awaits has come, and it is not paused. */
  idle: boolean;
  /** The wait that gets the signal that came just now, by the next event. */
  owed: { readonly signalSeq: number; readonly stepKey: string } | undefined;
  /** Waits that have their signal, or whose timer fired. */
  readonly results: Set<string>;
  /** When the next attempt of a step is due, in server time. */
  readonly retries: Map<string, number>;
  /** Signals that are received and neither consumed nor taken, by seq. */
  readonly open: Map<number, string>;
  readonly timers: Set<string>;
  status: RunRow["status"];
}

type SignalAwait = Await & { kind: "signal" };

export class WakeRules {
  readonly #runs = new Map<number, Waits>();
  readonly #fired: Fired;

  constructor(fired: Fired) {
    this.#fired = fired;
  }

  /** A durable event; answers with what is broken. */
  event(runNo: number, event: RunEvent): string | undefined {
    const run = this.#of(runNo);
    const broken = this.#paid(run, event);
    if (broken !== undefined) return broken;
    switch (event.type) {
      case "LeaseGranted":
        if (run.waits && !this.isThere(runNo, run.awaits, event.atMs))
          return "I9 granted, and nothing of its waits has come";
        run.waits = false;
        run.idle = false;
        break;
      case "CancelRequested":
      case "RunReopened":
        run.waits = false;
        run.idle = false;
        break;
      case "RunPaused":
        run.idle = false;
        break;
      case "RunResumed":
        run.idle = run.waits && !this.isThere(runNo, run.awaits, event.atMs);
        break;
      case "StepAttemptFailed":
        run.retries.set(event.stepKey, event.detail.retryAtMs);
        break;
      case "SignalReceived":
        run.open.set(event.seq, event.detail.name);
        this.#owe(run, event.seq, event.detail.name);
        break;
      case "SignalConsumed":
        run.open.delete(event.detail.signalSeq);
        run.timers.delete(event.stepKey);
        run.results.add(event.stepKey);
        break;
      case "TimerSet":
        run.timers.add(event.stepKey);
        break;
      case "TimerFired":
        run.timers.delete(event.stepKey);
        run.results.add(event.stepKey);
        if (this.isThere(runNo, run.awaits, event.atMs)) run.idle = false;
        break;
      case "TimerCancelled":
        run.timers.delete(event.stepKey);
        break;
      case "RetryDue":
        if (this.isThere(runNo, run.awaits, event.atMs)) run.idle = false;
        break;
      case "RunSuspended":
        run.awaits = event.detail.awaits;
        run.waits = event.detail.cancelUnseen !== true;
        run.idle = run.waits && !this.isThere(runNo, run.awaits, event.atMs);
        break;
      default:
        break;
    }
    return undefined;
  }

  #owe(run: Waits, signalSeq: number, name: string): void {
    if (!run.idle) return;
    const awaited = run.awaits.filter((one) => one.kind === "signal" && one.name === name) as SignalAwait[];
    if (awaited.length > 0) run.idle = false;
    const stepKey = awaited.find((one) => one.stepKey !== undefined)?.stepKey;
    if (stepKey !== undefined) run.owed = { signalSeq, stepKey };
  }

  /** What is broken when a wait that a signal is owed to does not have it, or one has it to which none was. */
  #paid(run: Waits, event: RunEvent): string | undefined {
    const { owed } = run;
    run.owed = undefined;
    const consumed = event.type === "SignalConsumed" ? event : undefined;
    if (owed === undefined) {
      return consumed?.epoch === 0 ? `I9 ${event.stepKey} got a signal for which it did not wait` : undefined;
    }
    const paid = consumed?.stepKey === owed.stepKey && consumed.detail.signalSeq === owed.signalSeq;
    if (paid) this.#fired.hit("signalToWait");
    return paid ? undefined : `I9 ${owed.stepKey} did not get signal ${owed.signalSeq}, for which it waited`;
  }

  /** Whether something awaited is there at this instant of server time. */
  isThere(runNo: number, awaits: readonly Await[], atMs: number): boolean {
    const { timers, retries, results } = this.#of(runNo);
    return awaits.some((awaited) => {
      if (awaited.kind === "signal")
        return this.isOpen(runNo, awaited.name) || (awaited.stepKey !== undefined && results.has(awaited.stepKey));
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
    const { status, awaits, timers, owed } = this.#of(runNo);
    if (owed !== undefined) return `signal ${owed.signalSeq}, owed to ${owed.stepKey}`;
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
      run = {
        awaits: [],
        waits: false,
        idle: false,
        owed: undefined,
        results: new Set(),
        retries: new Map(),
        open: new Map(),
        timers: new Set(),
        status: "QUEUED",
      };
      this.#runs.set(runNo, run);
    }
    return run;
  }
}
