// What the branches of one run wait for: sleeps, signals, and the next attempt of a step. All of them are durable, so
// when nothing else goes on the run can be suspended on them. The server decides when a timer fires and who gets a
// signal; the local clock only decides whether it is worth holding the lease meanwhile.
import type { OpRefusal } from "../../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import type { Await } from "../../../gen/ts/everstep/v1/event_pb.ts";
import type { Signal } from "../../../gen/ts/everstep/v1/signal_pb.ts";
import * as frames from "./frames.ts";
import type { LeaseRun } from "./lease-run.ts";
import { awaitsMax, retryHeldMsMax, sleepHeldMsMax } from "./limits.ts";
import type { TimerHandle } from "./ports.ts";
import { refuseCall } from "./refusal.ts";

export interface Settle<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

interface SleepWait {
  readonly settle: Settle<void>;
  readonly kind: "sleep";
  readonly key: string;
  readonly dueAtMs: number;
}

interface SignalWait {
  readonly settle: Settle<unknown>;
  readonly kind: "signal";
  readonly key: string;
  readonly name: string;
  /** Infinity: no timeout. */
  dueAtMs: number;
  /** Set at the first moment at which no signal is there. */
  timeoutMs: number | undefined;
  consuming: boolean;
}

/** A step between two attempts. */
export interface BackingOff {
  due(): void;
  cancelled(error: unknown): void;
  /** True for a step that was called after the cancel, to clean up: it is tried again all the same. */
  readonly outlivesCancel: boolean;
}

interface RetryWait {
  readonly kind: "retry";
  readonly key: string;
  readonly dueAtMs: number;
  readonly timer: TimerHandle;
  readonly step: BackingOff;
}

type Wait = SleepWait | SignalWait | RetryWait;

export class Waits {
  readonly #run: LeaseRun;
  /** By step key, in order of the calls: the first waiter for a name gets the first signal. */
  readonly #waits = new Map<string, Wait>();
  /** Signals that are there and not asked for, by name. */
  readonly #open = new Map<string, number>();

  constructor(run: LeaseRun) {
    this.#run = run;
  }

  get size(): number {
    return this.#waits.size;
  }

  /** `pending` is set when the timer was set under an earlier lease. */
  sleep(key: string, delayMs: number, pending: boolean, settle: Settle<void>): void {
    if (this.#run.cancel !== undefined) return settle.reject(this.#run.cancel);
    this.#waits.set(key, { kind: "sleep", key, dueAtMs: this.#run.ports.clock.nowMs() + delayMs, settle });
    if (!pending) this.#setTimer(key, delayMs, "");
    this.#run.planIdleCheck();
  }

  signal(
    key: string,
    name: string,
    timeout: { ms: number; pending: boolean } | undefined,
    settle: Settle<unknown>,
  ): void {
    const wait: SignalWait = {
      kind: "signal",
      key,
      name,
      dueAtMs: Number.POSITIVE_INFINITY,
      timeoutMs: undefined,
      consuming: false,
      settle,
    };
    this.#waits.set(key, wait);
    if (timeout?.pending) wait.dueAtMs = this.#run.ports.clock.nowMs() + timeout.ms;
    else wait.timeoutMs = timeout?.ms;
    this.#matchSignals(name);
    if (!wait.consuming && this.#run.cancel !== undefined) {
      this.#end(wait);
      return settle.reject(this.#run.cancel);
    }
    if (!wait.consuming) this.#armTimeout(wait);
    this.#run.planIdleCheck();
  }

  backOff(key: string, delayMs: number, step: BackingOff): void {
    const run = this.#run;
    if (run.cancel !== undefined && !step.outlivesCancel) return step.cancelled(run.cancel);
    if (delayMs <= 0) return step.due();
    const timer = run.ports.clock.setTimer(delayMs, () => run.whenLive(() => this.retryDue(key)));
    this.#waits.set(key, { kind: "retry", key, dueAtMs: run.ports.clock.nowMs() + delayMs, timer, step });
    run.planIdleCheck();
  }

  /** True when a wait took it. */
  timerFired(key: string): boolean {
    const wait = this.#waits.get(key);
    if (wait === undefined || wait.kind === "retry") return false;
    this.#end(wait);
    wait.settle.resolve(undefined);
    return true;
  }

  retryDue(key: string): void {
    const wait = this.#waits.get(key);
    if (wait?.kind !== "retry") return;
    this.#end(wait);
    wait.step.due();
  }

  signalCame(signal: Signal): void {
    this.#open.set(signal.name, (this.#open.get(signal.name) ?? 0) + 1);
    this.#matchSignals(signal.name);
  }

  /** Cancel: every wait ends now. */
  cancelAll(error: unknown): void {
    for (const wait of [...this.#waits.values()]) {
      if (wait.kind === "signal" && wait.consuming) continue; // its answer is on the way and is the truth
      if (wait.kind === "retry" && wait.step.outlivesCancel) continue;
      this.#end(wait);
      if (wait.kind === "retry") wait.step.cancelled(error);
      else wait.settle.reject(error);
    }
  }

  /** Whether the run should give up its lease for these waits: none of them ends soon. */
  allLong(): boolean {
    const nowMs = this.#run.ports.clock.nowMs();
    const names = new Set<string>();
    for (const wait of this.#waits.values()) {
      if (wait.kind === "signal") names.add(wait.name);
      if (wait.kind === "signal" && wait.consuming) return false;
      const heldMsMax = wait.kind === "retry" ? retryHeldMsMax : sleepHeldMsMax;
      if (wait.dueAtMs - nowMs <= heldMsMax) return false;
    }
    return this.#waits.size > 0 && names.size < awaitsMax; // a suspend could not name all signals and a timer
  }

  /**
   * No more than the server takes: every signal, and of what is due what is due first. What is left out is due later
   * than something that wakes the run, and is awaited by the suspend after that.
   */
  awaits(): Await[] {
    const awaits: Await[] = [];
    const names = new Set<string>();
    const timed: Wait[] = [];
    for (const wait of this.#waits.values()) {
      if (wait.kind === "signal") names.add(wait.name);
      if (wait.dueAtMs !== Number.POSITIVE_INFINITY) timed.push(wait);
    }
    const room = awaitsMax - names.size;
    if (timed.length > room) timed.sort((one, other) => one.dueAtMs - other.dueAtMs);
    const due = new Set(timed.slice(0, room));
    for (const wait of this.#waits.values()) {
      const { kind, key } = wait;
      if (due.has(wait)) awaits.push(frames.awaiting({ case: kind === "retry" ? "retry" : "timer", value: key }));
      if (kind === "signal" && names.delete(wait.name))
        awaits.push(frames.awaiting({ case: "signal", value: wait.name }, key));
    }
    return awaits;
  }

  /** The run is unwound: its promises never settle. */
  drop(): void {
    for (const wait of this.#waits.values()) if (wait.kind === "retry") wait.timer.cancel();
    this.#waits.clear();
    this.#open.clear();
  }

  #end(wait: Wait): void {
    this.#waits.delete(wait.key);
    if (wait.kind === "retry") wait.timer.cancel();
  }

  #setTimer(key: string, delayMs: number, signalName: string): void {
    this.#run.submit([frames.setTimer(key, delayMs, signalName)], 0, {
      adds: "timer",
      refused: (refusal) => {
        const wait = this.#waits.get(key);
        if (wait === undefined || wait.kind === "retry") return;
        this.#end(wait);
        refuseCall(this.#run, refusal, wait.settle, key, signalName === "" ? "sleep" : "wait for a signal");
      },
    });
  }

  #armTimeout(wait: SignalWait): void {
    if (wait.timeoutMs === undefined) return;
    wait.dueAtMs = this.#run.ports.clock.nowMs() + wait.timeoutMs;
    this.#setTimer(wait.key, wait.timeoutMs, wait.name);
    wait.timeoutMs = undefined;
  }

  #matchSignals(name: string): void {
    let open = this.#open.get(name) ?? 0;
    for (const wait of this.#waits.values()) {
      if (open === 0) break;
      if (wait.kind !== "signal" || wait.name !== name || wait.consuming) continue;
      open -= 1;
      this.#consume(wait);
    }
    if (open > 0) this.#open.set(name, open);
    else this.#open.delete(name);
  }

  #consume(wait: SignalWait): void {
    wait.consuming = true;
    this.#run.outcomesPending += 1;
    this.#run.submit([frames.consumeSignal(wait.key, wait.name)], 0, {
      adds: "signal",
      applied: (applied) => {
        this.#run.outcomesPending -= 1;
        const outcome = applied.results[0]?.outcome;
        if (outcome?.case !== "signal") return this.#run.abandon(`the signal for ${wait.key} came without its content`);
        if (this.#waits.get(wait.key) !== wait) return;
        this.#end(wait);
        try {
          wait.settle.resolve(this.#run.decode(outcome.value.payload));
        } catch (error) {
          wait.settle.reject(error);
        }
      },
      refused: (refusal) => {
        this.#run.outcomesPending -= 1;
        this.#notConsumed(wait, refusal);
      },
    });
  }

  #notConsumed(wait: SignalWait, refusal: OpRefusal): void {
    wait.consuming = false;
    const waiting = this.#waits.get(wait.key) === wait;
    switch (refusal.reason) {
      case ErrorReason.NO_SIGNAL:
        break; // the count was wrong; the notice of the next one is to come
      case ErrorReason.WAIT_TIMED_OUT:
        this.#open.set(wait.name, (this.#open.get(wait.name) ?? 0) + 1); // the signal stays open for the next waiter
        if (waiting) {
          this.#end(wait);
          wait.settle.resolve(undefined);
        }
        this.#matchSignals(wait.name);
        return;
      default:
        if (!waiting) return;
        this.#end(wait);
        return refuseCall(this.#run, refusal, wait.settle, wait.key, "wait for a signal");
    }
    if (!waiting) return;
    if (this.#run.cancel !== undefined) {
      this.#end(wait);
      wait.settle.reject(this.#run.cancel);
      return;
    }
    this.#armTimeout(wait);
    this.#matchSignals(wait.name);
    this.#run.planIdleCheck();
  }
}
