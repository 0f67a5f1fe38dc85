// One use of ctx.step: its attempts until it has a durable result.
//
// An attempt runs (counted in run.stepsRunning), then its outcome waits to be durable (run.outcomesPending), then
// either the workflow gets it or the step backs off (a wait of kind "retry") and the next attempt runs.
import type { Change, OpApplied, OpRefusal } from "../../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import type { Failure } from "../../../gen/ts/everstep/v1/failure_pb.ts";
import type { Payload } from "../../../gen/ts/everstep/v1/payload_pb.ts";
import { encodeWithin } from "./codec.ts";
import { PayloadTooLargeError } from "./errors.ts";
import { carriesCancel, failureBytes, stepFailed, toFailure } from "./failure.ts";
import * as frames from "./frames.ts";
import type { LeaseRun } from "./lease-run.ts";
import { serverTimeoutSlackMs } from "./limits.ts";
import { refuseCall } from "./refusal.ts";
import { type RetryOptions, toRetryPolicy } from "./retry-options.ts";
import { RunningAttempt, type StepFunction } from "./step-attempt.ts";
import type { BackingOff, Settle } from "./waits.ts";

export interface StepOptions {
  readonly retry?: RetryOptions | undefined;
  /** Bound for each attempt; a longer one fails with type "StepTimeout". */
  readonly timeoutMs?: number | undefined;
  /** Never run it twice on a guess: if the worker is lost inside, the run is paused and a person decides. */
  readonly atMostOnce?: boolean | undefined;
  /** Recorded with the start of the step, for people who read the history. */
  readonly input?: unknown;
}

export const noOptions: StepOptions = {};

export class StepCall implements BackingOff {
  readonly run: LeaseRun;
  readonly stepKey: string;
  readonly fn: StepFunction<unknown>;
  readonly options: StepOptions;
  /** Called to clean up: the cancel neither aborts it nor ends its retries. */
  readonly calledAfterCancel: boolean;
  readonly #settle: Settle<unknown>;
  #nextAttempt = 1;

  /** `begunBefore`: an earlier lease had begun it, so it is no cleanup. */
  constructor(
    run: LeaseRun,
    stepKey: string,
    fn: StepFunction<unknown>,
    options: StepOptions,
    settle: Settle<unknown>,
    begunBefore = false,
  ) {
    this.run = run;
    this.stepKey = stepKey;
    this.fn = fn;
    this.options = options;
    this.#settle = settle;
    this.calledAfterCancel = !begunBefore && run.cancel !== undefined;
  }

  begin(attemptNumber: number): void {
    const { run, options } = this;
    if (!run.mayStartStep()) return; // paused or draining: the lease is given back, a replay comes here again
    const attempt = new RunningAttempt(this, attemptNumber);
    if (options.atMostOnce) {
      this.#submitStart(attempt, () => attempt.call());
      return;
    }
    if (options.input !== undefined) this.#submitStart(attempt, undefined);
    if (attempt.running) attempt.call();
  }

  /** Announces an attempt that runs already. */
  submitStart(attempt: RunningAttempt): void {
    this.#submitStart(attempt, undefined);
  }

  #submitStart(attempt: RunningAttempt, applied: (() => void) | undefined): void {
    let start: { change: Change; bytes: number };
    try {
      start = this.#startChange(attempt.attempt);
    } catch (error) {
      attempt.stop();
      return this.failed(attempt, error);
    }
    attempt.startSent = true;
    this.run.submit([start.change], start.bytes, {
      ...(applied === undefined ? {} : { applied }),
      adds: "start",
      refused: (refusal) => {
        const called = applied === undefined;
        // The pause lets a function that runs finish, and its result needs no start before it.
        if (called && refusal.reason === ErrorReason.RUN_PAUSED) return this.run.giveBack();
        if (!attempt.running) return; // its outcome went out behind the start and is answered for itself
        attempt.stop();
        this.#refused(refusal);
      },
    });
  }

  #startChange(attempt: number): { change: Change; bytes: number } {
    const { timeoutMs, atMostOnce = false, retry, input } = this.options;
    const { payload, bytes } = this.#encode(input, "input");
    const change = frames.startStep(this.stepKey, attempt, {
      atMostOnce,
      timeoutMs: timeoutMs === undefined ? 0 : Math.ceil(timeoutMs) + serverTimeoutSlackMs,
      retryPolicy: timeoutMs === undefined ? undefined : toRetryPolicy(retry, atMostOnce),
      input: payload,
    });
    return { change, bytes };
  }

  #encode(value: unknown, what: string): { payload: Payload | undefined; bytes: number } {
    return encodeWithin(this.run.codec, value, () => `the ${what} of step ${this.stepKey}`, this.run.payloadBytesMax);
  }

  succeeded(attempt: RunningAttempt, value: unknown): void {
    const { run } = this;
    let output: { payload: Payload | undefined; bytes: number };
    try {
      output = this.#encode(value, "result");
    } catch (error) {
      return this.failed(attempt, error);
    }
    const { payload, bytes } = output;
    run.outcomesPending += 1;
    run.submit([frames.completeStep(this.stepKey, attempt.attempt, payload, attempt.elapsedMs())], bytes, {
      adds: attempt.outcomeAdds,
      applied: (applied) => {
        run.outcomesPending -= 1;
        const stored = applied.results[0]?.outcome;
        this.#deliver(stored?.case === "storedOutput" ? stored.value : payload);
      },
      refused: (refusal) => {
        run.outcomesPending -= 1;
        if (refusal.reason !== ErrorReason.PAYLOAD_TOO_LARGE) return this.#refused(refusal);
        this.failed(attempt, new PayloadTooLargeError(refusal.message));
      },
    });
  }

  /** The workflow gets what a replay would give it, never the original object. */
  #deliver(output: Payload | undefined): void {
    let value: unknown;
    try {
      value = this.run.decode(output);
    } catch (error) {
      return this.#settle.reject(error);
    }
    this.#settle.resolve(value);
  }

  threw(attempt: RunningAttempt, error: unknown): void {
    const { cancel } = this.run;
    if (cancel !== undefined && !this.calledAfterCancel && !this.options.atMostOnce && stoppedByCancel(error)) {
      this.#settle.reject(cancel); // it stopped because it was asked to: that is no failed attempt
      this.run.planIdleCheck();
      return;
    }
    this.failed(attempt, error);
  }

  failed(attempt: RunningAttempt, error: unknown): void {
    const { run } = this;
    const { retry, atMostOnce = false } = this.options;
    const failure = toFailure(error);
    const policy = toRetryPolicy(retry, atMostOnce);
    const change = frames.failStep(this.stepKey, attempt.attempt, failure, policy, attempt.elapsedMs());
    run.outcomesPending += 1;
    run.submit([change], failureBytes(failure), {
      adds: attempt.outcomeAdds,
      applied: (applied) => {
        run.outcomesPending -= 1;
        this.#afterFailure(applied, failure);
      },
      refused: (refusal) => {
        run.outcomesPending -= 1;
        this.#refused(refusal);
      },
    });
  }

  #afterFailure(applied: OpApplied, failure: Failure): void {
    const outcome = applied.results[0]?.outcome;
    switch (outcome?.case) {
      case "retry":
        return this.backOff(outcome.value.nextAttempt, Number(outcome.value.delayMs));
      case "exhausted":
        this.run.failedSteps.add(this.stepKey);
        return this.#settle.reject(stepFailed(this.stepKey, outcome.value.attempt, failure));
      case "storedOutput":
        return this.#deliver(outcome.value);
      default:
        return this.run.abandon(`the failure of step ${this.stepKey} was answered without a verdict`);
    }
  }

  backOff(nextAttempt: number, delayMs: number): void {
    this.#nextAttempt = nextAttempt;
    this.run.waits.backOff(this.stepKey, delayMs, this);
  }

  due(): void {
    this.begin(this.#nextAttempt);
  }

  cancelled(error: unknown): void {
    this.#settle.reject(error);
  }

  get outlivesCancel(): boolean {
    return this.calledAfterCancel;
  }

  #refused(refusal: OpRefusal): void {
    switch (refusal.reason) {
      case ErrorReason.STEP_COMPLETED:
        return this.run.abandon(`step ${this.stepKey} has another result already`);
      case ErrorReason.STEP_FAILED:
        return this.run.abandon(`step ${this.stepKey} has failed already`);
      default:
        return refuseCall(this.run, refusal, this.#settle, this.stepKey, "step");
    }
  }
}

function stoppedByCancel(error: unknown): boolean {
  return carriesCancel(error) || (error as Error | undefined)?.name === "AbortError";
}
