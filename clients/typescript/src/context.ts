// What workflow code sees of its run. Each call claims its step key, looks into the journal, and either hands over
// what is recorded or makes it happen.
import { checkDelay } from "./delay.ts";
import { InvalidArgumentError, NonDeterminismError } from "./errors.ts";
import { stepFailed } from "./failure.ts";
import type { LeaseRun } from "./lease-run.ts";
import { kindOf, type Recorded } from "./replay/journal.ts";
import { checkKey } from "./replay/keys.ts";
import { checkRetryOptions } from "./retry-options.ts";
import { Settlement } from "./settlement.ts";
import type { StepFunction } from "./step-attempt.ts";
import { noOptions, StepCall, type StepOptions } from "./step-call.ts";

export interface SignalOptions {
  /** Gives up after this time; the wait is `undefined` then. Default: waits for ever. */
  readonly timeoutMs?: number | undefined;
  /** Step key of the wait; default: the signal's name. */
  readonly key?: string | undefined;
}

/** The durable calls of a workflow and the facts about its run. */
export interface WorkflowContext {
  readonly runId: string;
  readonly workflow: string;
  readonly namespace: string;
  /** Empty if the run has none. */
  readonly runKey: string;
  /** Grows with every lease of the run: hand it to systems that can refuse the writes of an older holder. */
  readonly fencingToken: number;
  /** The step keys that were used so far. */
  readonly stepKeys: readonly string[];
  /** Fires when a cancel was requested, and when this worker no longer holds the run. Its reason is the error. */
  readonly cancelSignal: AbortSignal;

  /**
   * Runs `fn` until it has a result and records the result: after a crash the function is not called again. Throws
   * StepFailedError when its attempts are exhausted. Steps may be called after a cancel, to clean up.
   */
  step<T>(key: string, fn: StepFunction<T>, options?: StepOptions): Promise<T>;
  /** Waits durably; a long sleep occupies no worker. Throws CancelledError when the run is cancelled. */
  sleep(key: string, ms: number): Promise<void>;
  /** Takes the oldest signal of this name, or waits for it. `undefined` on timeout. */
  signal<T = unknown>(name: string, options?: SignalOptions): Promise<T | undefined>;
}

export class RunContext implements WorkflowContext {
  readonly #run: LeaseRun;

  constructor(run: LeaseRun) {
    this.#run = run;
  }

  get runId(): string {
    return this.#run.runId;
  }

  get workflow(): string {
    return this.#run.assignment.workflow;
  }

  get namespace(): string {
    return this.#run.assignment.namespace;
  }

  get runKey(): string {
    return this.#run.assignment.runKey;
  }

  get fencingToken(): number {
    return this.#run.fencingToken;
  }

  get stepKeys(): readonly string[] {
    return this.#run.keys.list();
  }

  get cancelSignal(): AbortSignal {
    return this.#run.cancelSignal;
  }

  step<T>(key: string, fn: StepFunction<T>, options: StepOptions = noOptions): Promise<T> {
    return this.#claim<T>(key, (stepKey, settlement) => {
      if (typeof fn !== "function") throw new InvalidArgumentError(`step ${stepKey} needs a function`);
      if (options.timeoutMs !== undefined) checkDelay("timeoutMs", options.timeoutMs);
      const run = this.#run;
      const recorded = run.journal.find(stepKey);
      // What has ended keeps its outcome, whatever its options are now.
      const hasEnded = recorded !== undefined && recorded.case !== "started" && recorded.case !== "retrying";
      if (options.retry && !hasEnded) checkRetryOptions(options.retry);
      if (recorded === undefined) {
        run.whenLive(() => new StepCall(run, stepKey, fn, options, settlement as Settlement).begin(1));
        return;
      }
      switch (recorded.case) {
        case "completed":
          return this.#replay(stepKey, settlement, () => run.decode(recorded.value.output) as T);
        case "failed":
          return this.#replay(stepKey, settlement, () => {
            run.failedSteps.add(stepKey);
            throw stepFailed(stepKey, recorded.value.attempt, recorded.value.failure);
          });
        case "retrying": {
          const { attempt, delayMs } = recorded.value;
          const call = new StepCall(run, stepKey, fn, options, settlement as Settlement, true);
          return run.whenLive(() => call.backOff(attempt + 1, Number(delayMs)));
        }
        case "started": {
          const call = new StepCall(run, stepKey, fn, options, settlement as Settlement, true);
          return run.whenLive(() => call.begin(recorded.value.attempt));
        }
        default:
          return this.#mismatch(stepKey, "step", recorded);
      }
    });
  }

  sleep(key: string, ms: number): Promise<void> {
    return this.#claim<void>(key, (stepKey, settlement) => {
      const delayMs = checkDelay("a sleep", ms);
      const run = this.#run;
      const recorded = run.journal.find(stepKey);
      if (recorded === undefined) return run.whenLive(() => run.waits.sleep(stepKey, delayMs, false, settlement));
      if (kindOf(recorded) !== "sleep") return this.#mismatch(stepKey, "sleep", recorded);
      if (recorded.case === "timerFired") return this.#replay(stepKey, settlement, () => undefined);
      if (recorded.case !== "timer") return settlement.resolve(undefined); // its timer was cancelled from outside
      const leftMs = Number(recorded.value.delayMs);
      run.whenLive(() => run.waits.sleep(stepKey, leftMs, true, settlement));
    });
  }

  signal<T = unknown>(name: string, options: SignalOptions = {}): Promise<T | undefined> {
    return this.#claim<T | undefined>(options.key ?? name, (stepKey, settlement) => {
      if (typeof name !== "string" || name === "") throw new InvalidArgumentError("a signal needs a name");
      const timeoutMs = options.timeoutMs === undefined ? undefined : checkDelay("timeoutMs", options.timeoutMs);
      const run = this.#run;
      const wait = (timeout: { ms: number; pending: boolean } | undefined): void =>
        run.whenLive(() => run.waits.signal(stepKey, name, timeout, settlement as Settlement));
      const recorded = run.journal.find(stepKey);
      if (recorded === undefined) return wait(timeoutMs === undefined ? undefined : { ms: timeoutMs, pending: false });
      if (kindOf(recorded) !== "wait for a signal") return this.#mismatch(stepKey, "wait for a signal", recorded);
      switch (recorded.case) {
        case "signal":
          return this.#replay(stepKey, settlement, () => run.decode(recorded.value.payload) as T);
        case "timerFired":
          return this.#replay(stepKey, settlement, () => undefined);
        case "timer":
          return wait({ ms: Number(recorded.value.delayMs), pending: true });
        default:
          return settlement.resolve(undefined); // its timer was cancelled from outside
      }
    });
  }

  /** What a call gets wrong is a rejection, like everything else that it may end with. */
  #claim<T>(key: string, begin: (stepKey: string, settlement: Settlement<T>) => void): Promise<T> {
    const { keys } = this.#run;
    let settlement: Settlement<T> | undefined;
    try {
      checkKey("step key", key);
      const stepKey = keys.claim(key);
      settlement = new Settlement<T>(keys, key);
      begin(stepKey, settlement);
    } catch (error) {
      settlement ??= new Settlement<T>(noKeys, "");
      settlement.reject(error);
    }
    return settlement.promise;
  }

  #replay<T>(stepKey: string, settlement: Settlement<T>, read: () => T): void {
    const run = this.#run;
    run.journal.deliver(stepKey, () => {
      if (run.ended) return;
      try {
        settlement.resolve(read());
      } catch (error) {
        settlement.reject(error);
      }
      run.replayed();
    });
  }

  #mismatch(stepKey: string, asked: string, recorded: Recorded): void {
    this.#run.mismatched(new NonDeterminismError(stepKey, asked, kindOf(recorded)));
  }
}

/** For a rejection that holds no key. */
const noKeys = { release(): void {} };
