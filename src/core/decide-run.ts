import type { CancelRun, PauseRun, ResumeRun, RetryRun, StartRun, TerminateRun } from "./command.ts";
import { type Accepted, accept, alreadyApplied, type DecideContext, newEvent, sequence } from "./decision.ts";
import { type Refusal, refuse } from "./errors.ts";
import type { RunEvent } from "./event.ts";
import { historyLimit, reserveIsSpent } from "./history-limit.ts";
import { openStarts } from "./open-starts.ts";
import { finalStatuses, type RunState } from "./state.ts";

// What callers and operators ask of a run. Idempotent by state: asking twice changes nothing the second time.

/** Uniqueness of run_id and run key is judged by the engine, which sees all runs. */
export function decideStartRun(command: StartRun, nowMs: number): RunEvent {
  return newEvent(
    "RunCreated",
    1,
    nowMs,
    {
      workflow: command.workflow,
      queue: command.queue,
      ...(command.runKey === "" ? {} : { runKey: command.runKey }),
      ...(command.priority === 5 ? {} : { priority: command.priority }),
      ...(command.startDelayMs === 0 ? {} : { availableAtMs: nowMs + command.startDelayMs }),
      ...(command.runTimeoutMs === 0 ? {} : { timeoutAtMs: nowMs + command.runTimeoutMs }),
      ...(command.requestId === "" ? {} : { requestId: command.requestId }),
    },
    { payload: command.input },
  );
}

export function closed(state: RunState): Refusal {
  return refuse("RUN_CLOSED", `run is ${state.status}`);
}

export function isOpen(state: RunState): boolean {
  return !finalStatuses.has(state.status);
}

/** Durable first: the worker is told after the commit. A run that no worker ever had ends at once. */
export function decideCancel(state: RunState, command: CancelRun, context: DecideContext): Accepted | Refusal {
  if (state.status === "CANCELLED" || (isOpen(state) && state.cancel !== undefined)) return alreadyApplied();
  if (!isOpen(state)) return closed(state);
  if (state.pauseReason === "CORRUPT_HISTORY") return corrupt(state);
  const next = sequence(state, context.nowMs);
  const reason = command.reason === "" ? {} : { reason: command.reason };
  const events = [
    next("CancelRequested", { ...reason, graceMs: command.graceMs, deadlineAtMs: context.nowMs + command.graceMs }),
  ];
  const setAside = state.pauseReason === "DELIVERY_BUDGET" || state.pauseReason === "UNCERTAIN_EFFECT";
  if (state.epoch === 0 || setAside) events.push(next("RunCancelled", reason));
  return accept(events);
}

export function decideTerminate(state: RunState, command: TerminateRun, context: DecideContext): Accepted | Refusal {
  if (state.status === "TERMINATED") return alreadyApplied();
  if (!isOpen(state)) return closed(state);
  const next = sequence(state, context.nowMs);
  const events = revokeIfLeased(state, next);
  events.push(next("RunTerminated", command.reason === "" ? {} : { reason: command.reason }));
  return accept(events);
}

export function decidePause(state: RunState, command: PauseRun, context: DecideContext): Accepted | Refusal {
  if (state.status === "PAUSED" || (isOpen(state) && state.pauseDeadlineAtMs !== 0)) return alreadyApplied();
  if (!isOpen(state)) return closed(state);
  const next = sequence(state, context.nowMs);
  if (reserveIsSpent(state, context)) return historyLimit(state);
  const text = command.reason === "" ? {} : { text: command.reason };
  if (state.lease === undefined) return accept([next("RunPaused", { reason: "REQUESTED", ...text })]);
  const reason = command.reason === "" ? {} : { reason: command.reason };
  return accept([next("PauseRequested", { ...reason, deadlineAtMs: context.nowMs + command.graceMs })]);
}

export function decideResume(state: RunState, command: ResumeRun, context: DecideContext): Accepted | Refusal {
  if (!isOpen(state)) return closed(state);
  if (state.status !== "PAUSED") return alreadyApplied();
  if (state.pauseReason === "CORRUPT_HISTORY") return corrupt(state);
  const next = sequence(state, context.nowMs);
  const events: RunEvent[] = [];
  const [uncertain, another] = uncertainSteps(state);
  if (state.pauseReason === "UNCERTAIN_EFFECT" && uncertain !== undefined) {
    const { resolution } = command;
    const step = state.steps.get(uncertain);
    const attempt = step?.attempt ?? 1;
    const startedAtMs = step?.startedAtMs ?? 0;
    if (resolution === undefined) {
      return refuse("INVALID", `step "${uncertain}" may have happened: say REPEAT, COMPLETE or FAIL`, {
        field: "resolution",
      });
    }
    if (resolution.kind === "complete") {
      const more = { stepKey: uncertain, startedAtMs, payload: resolution.output };
      events.push(next("StepCompleted", attempt === 1 ? undefined : { attempt }, more));
    } else if (resolution.kind === "fail") {
      events.push(next("StepFailed", { attempt, failure: resolution.failure }, { stepKey: uncertain, startedAtMs }));
    } else {
      const failure = { type: "UncertainEffect", message: "the worker was lost inside the step; repeated on request" };
      const more = { stepKey: uncertain, startedAtMs };
      events.push(next("StepAttemptFailed", { attempt, failure, retryAtMs: context.nowMs }, more));
    }
  }
  events.push(next("RunResumed", undefined));
  // One resolution for each: parallel steps may have been lost together.
  if (another !== undefined) events.push(next("RunPaused", { reason: "UNCERTAIN_EFFECT" }));
  return accept(events);
}

/** Whether an at-most-once step was started and has no result, its start durable or not. */
export function isUncertain(state: RunState): boolean {
  for (const start of state.pendingStarts.values()) if (start.atMostOnce) return true;
  return uncertainSteps(state).length > 0;
}

/** The at-most-once steps whose start is in the history and whose result is not, in order. */
function uncertainSteps(state: RunState): string[] {
  const keys: string[] = [];
  for (const [key, step] of state.steps) if (step.status === "running" && step.atMostOnce) keys.push(key);
  return keys;
}

/**
 * Opens a FAILED run again: exactly the steps whose failures ended it run again. One that failed from outside (its
 * timeout) inside an at-most-once step is set aside first, because nobody knows whether that step happened.
 */
export function decideRetry(state: RunState, command: RetryRun, context: DecideContext): Accepted | Refusal {
  if (command.requestId !== "" && state.retryRequests.has(command.requestId)) return alreadyApplied();
  if (state.status !== "FAILED") {
    return refuse("INVALID_STATE", `run is ${state.status}; only FAILED runs are retried`);
  }
  if (state.lastSeq >= context.limits.historyEventsMax) return historyLimit(state);
  const next = sequence(state, context.nowMs);
  const { runTimeoutMs } = state;
  const voidedSteps = state.failedSteps.filter((key) => state.steps.get(key)?.status === "failed");
  const events = [
    next("RunReopened", {
      voidedSteps,
      ...(runTimeoutMs === 0 ? {} : { timeoutAtMs: context.nowMs + runTimeoutMs }),
      ...(command.reason === "" ? {} : { reason: command.reason }),
      ...(command.requestId === "" ? {} : { requestId: command.requestId }),
    }),
  ];
  if (isUncertain(state)) events.push(next("RunPaused", { reason: "UNCERTAIN_EFFECT" }));
  return accept(events);
}

export function revokeIfLeased(state: RunState, next: ReturnType<typeof sequence>): RunEvent[] {
  if (state.lease === undefined) return [];
  const starts = openStarts(state, next);
  return [...starts, next("LeaseEnded", { reason: "REVOKED" }, { epoch: state.lease.epoch })];
}

export function corrupt(state: RunState): Refusal {
  return refuse("CORRUPT_HISTORY", `the history of run "${state.runId}" cannot be read; only TerminateRun is accepted`);
}
