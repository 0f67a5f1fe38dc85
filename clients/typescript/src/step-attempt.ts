// One attempt of a step: calls the function, bounds it in time, and hands its outcome to the step exactly once.
import { StepTimeoutError } from "./errors.ts";
import type { Adds } from "./op-pipe.ts";
import type { Announcement } from "./outbox.ts";
import type { TimerHandle } from "./ports.ts";
import type { StepCall } from "./step-call.ts";

/** What a step function may want to know about its attempt. */
export interface StepAttempt {
  readonly runId: string;
  readonly stepKey: string;
  /** From 1. */
  readonly attempt: number;
  /** Grows with every lease of the run: hand it to systems that can refuse the writes of an older holder. */
  readonly fencingToken: number;
  /** The same for all attempts and all workers: the key for idempotent calls. */
  readonly idempotencyKey: string;
  /** Fires on timeout, cancel and loss of the lease. A step that is called after the cancel does not see the cancel. */
  readonly signal: AbortSignal;
}

export type StepFunction<T> = (attempt: StepAttempt) => T | PromiseLike<T>;

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | null | undefined)?.then === "function";

export class RunningAttempt implements Announcement, StepAttempt {
  readonly #step: StepCall;
  readonly attempt: number;
  startSent = false;
  #running = true;
  #startedAtMs: number;
  #timeout: TimerHandle | undefined;
  #abortion: AbortController | undefined;
  #signal: AbortSignal | undefined;

  constructor(step: StepCall, attempt: number) {
    this.#step = step;
    this.attempt = attempt;
    this.#startedAtMs = step.run.ports.clock.nowMs();
    step.run.stepsRunning += 1;
  }

  get runId(): string {
    return this.#step.run.runId;
  }

  get stepKey(): string {
    return this.#step.stepKey;
  }

  get fencingToken(): number {
    return this.#step.run.fencingToken;
  }

  get idempotencyKey(): string {
    return `${this.#step.run.runId}/${this.#step.stepKey}`;
  }

  get signal(): AbortSignal {
    if (this.#signal !== undefined) return this.#signal;
    const { run, calledAfterCancel, options } = this.#step;
    const whole = calledAfterCancel ? run.leaseSignal : run.cancelSignal;
    if (options.timeoutMs === undefined) return (this.#signal = whole);
    this.#abortion = new AbortController();
    return (this.#signal = AbortSignal.any([whole, this.#abortion.signal]));
  }

  get running(): boolean {
    return this.#running;
  }

  /** Behind a start that went out its outcome has a place in the history. */
  get outcomeAdds(): Adds | undefined {
    return this.startSent ? undefined : "result";
  }

  elapsedMs(): number {
    return Math.max(0, Math.round(this.#step.run.ports.clock.nowMs() - this.#startedAtMs));
  }

  /** The start is durable, or need not be: the function runs now. */
  call(): void {
    const { run, options, fn } = this.#step;
    this.#startedAtMs = run.ports.clock.nowMs();
    if (options.timeoutMs !== undefined) this.#bound(options.timeoutMs);
    let outcome: unknown;
    let pending: boolean;
    try {
      outcome = fn(this);
      pending = isThenable(outcome);
    } catch (error) {
      this.#threw(error);
      return;
    }
    if (!pending) return this.#returned(outcome);
    if (!options.atMostOnce && options.input === undefined) run.outbox.announce(this);
    (outcome as PromiseLike<unknown>).then(
      (value) => this.#returned(value),
      (error) => this.#threw(error),
    );
  }

  /** The outbox builds a frame and the attempt still runs: its start is worth a record. */
  materialise(): void {
    if (this.#running && !this.#step.run.ended) this.#step.submitStart(this);
  }

  /** Ends it without an outcome: its start was refused. */
  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#step.run.stepsRunning -= 1;
    this.drop();
  }

  /** The lease is gone or the run has ended: the function may still run, nobody listens any more. */
  drop(): void {
    if (this.#timeout === undefined) return;
    this.#timeout.cancel();
    this.#timeout = undefined;
    this.#step.run.timed.delete(this);
  }

  #bound(timeoutMs: number): void {
    this.#step.run.timed.add(this);
    this.#timeout = this.#step.run.ports.clock.setTimer(timeoutMs, () => {
      if (!this.#ends()) return;
      const error = new StepTimeoutError(this.stepKey, timeoutMs);
      this.#abortion?.abort(error);
      this.#step.failed(this, error);
    });
  }

  /** False for an outcome that comes too late: after the timeout, or after the run has ended. */
  #ends(): boolean {
    if (!this.#running || this.#step.run.ended) return false;
    this.stop();
    return true;
  }

  #returned(value: unknown): void {
    if (this.#ends()) this.#step.succeeded(this, value);
  }

  #threw(error: unknown): void {
    if (this.#ends()) this.#step.threw(this, error);
  }
}
