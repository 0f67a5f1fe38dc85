import { nextAttemptDelayMs } from "./backoff.ts";
import type { Change } from "./command.ts";
import type { ChangeNote, DecideContext, EventMore, sequence } from "./decision.ts";
import { consumeReserved } from "./decide-signal.ts";
import { type Refusal, refuse } from "./errors.ts";
import type { RetryPolicy, RunEvent } from "./event.ts";
import type { Failure } from "./failure.ts";
import { atHistoryLimit, historyLimit } from "./history-limit.ts";
import { runsHere, startedEvent } from "./open-starts.ts";
import { payloadBytes, samePayload } from "./payload.ts";
import type { PendingStart, RunState, StepState } from "./state.ts";

// A step: running -> completed | failed, with retrying in between. First writer wins: a result is immutable, the same
// result again is already_applied, another one is refused, a late failure never overwrites.

/** What one change does: nothing, a start that waits for the end of its batch, or events. */
export type ChangeDecision =
  | { readonly kind: "events"; readonly events: readonly RunEvent[]; readonly note: ChangeNote | undefined }
  | { readonly kind: "start"; readonly stepKey: string; readonly start: PendingStart }
  | { readonly kind: "unchanged"; readonly note: ChangeNote | undefined }
  | Refusal;

export interface ChangeContext extends DecideContext {
  readonly index: number;
  readonly next: ReturnType<typeof sequence>;
  readonly epoch: number;
  readonly opId: number;
  readonly opDigest: number;
  readonly onSession: boolean;
}

export const unchanged: ChangeDecision = { kind: "unchanged", note: undefined };

export function recorded(events: readonly RunEvent[], note?: ChangeNote): ChangeDecision {
  return { kind: "events", events, note };
}

/** Columns that tie an event to its op. */
export function opColumns(context: ChangeContext, more: EventMore): EventMore {
  return { ...more, epoch: context.epoch, opId: context.opId, opDigest: context.opDigest };
}

type ChangeOf<T extends Change["type"]> = Extract<Change, { type: T }>;

export function decideStartStep(
  state: RunState,
  change: ChangeOf<"StartStep">,
  context: ChangeContext,
): ChangeDecision {
  const step = state.steps.get(change.stepKey);
  const mismatch = refuseResult(step, change.stepKey);
  if (mismatch !== undefined) return mismatch;
  if (step?.status === "completed")
    return { kind: "unchanged", note: { kind: "stored", index: context.index, seq: step.seq } };
  const pending = state.pendingStarts.get(change.stepKey);
  const failedAttempt = step?.failedAttempt ?? 0;
  const attempt = change.attempt === 0 ? failedAttempt + 1 : change.attempt;
  if (attempt <= failedAttempt || pending?.attempt === attempt) return unchanged;
  // An attempt that was lost with its lease starts again, and so does its time: the loss is no attempt.
  const lost = step?.status === "running" && !runsHere(state, step);
  if (step?.status === "running" && step.attempt >= attempt && !lost) return unchanged;
  if (attempt !== failedAttempt + 1) {
    return refuse("INVALID", `attempt ${attempt} of "${change.stepKey}": the next one is ${failedAttempt + 1}`, {
      field: "attempt",
    });
  }
  if (state.pauseDeadlineAtMs !== 0) return refuse("RUN_PAUSED", "the run is being paused and takes no new steps");
  if (atHistoryLimit(state, context, payloadBytes(change.input))) return lost ? unchanged : historyLimit(state);
  const start: PendingStart = {
    attempt,
    startedAtMs: context.nowMs,
    atMostOnce: change.atMostOnce,
    timeoutMs: change.timeoutMs,
    retryPolicy: change.retryPolicy,
    input: change.input,
    opId: context.opId,
    opDigest: context.opDigest,
  };
  // A completion has no room for the input: a start that brings one is an event of its own.
  if (change.input !== undefined) return recorded([startedEvent(change.stepKey, start, context.epoch, context.next)]);
  return { kind: "start", stepKey: change.stepKey, start };
}

export function decideCompleteStep(
  state: RunState,
  change: ChangeOf<"CompleteStep">,
  context: ChangeContext,
): ChangeDecision {
  const step = state.steps.get(change.stepKey);
  const mismatch = refuseResult(step, change.stepKey);
  if (mismatch !== undefined) return mismatch;
  if (step?.status === "completed") {
    if (samePayload(context.stored(step.seq), change.output)) {
      return { kind: "unchanged", note: { kind: "stored", index: context.index, seq: step.seq } };
    }
    return refuse("STEP_COMPLETED", `step "${change.stepKey}" has another result`, { field: "step_key" });
  }
  const pending = state.pendingStarts.get(change.stepKey);
  const isNew = step === undefined && pending === undefined;
  if (isNew && atHistoryLimit(state, context, payloadBytes(change.output))) return historyLimit(state);
  const attempt = change.attempt !== 0 ? change.attempt : currentAttempt(step, pending);
  const startedAtMs = startOf(step, pending, attempt, context.nowMs - change.elapsedMs);
  const consumed = consumeReserved(state, context);
  const event = context.next("StepCompleted", attempt === 1 ? undefined : { attempt }, {
    stepKey: change.stepKey,
    startedAtMs,
    payload: change.output,
    epoch: context.epoch,
    opId: context.opId,
    opDigest: context.opDigest,
  });
  return recorded(consumed.length === 0 ? [event] : [...consumed, event]);
}

export function decideFailStep(state: RunState, change: ChangeOf<"FailStep">, context: ChangeContext): ChangeDecision {
  const step = state.steps.get(change.stepKey);
  const { index } = context;
  if (step?.kind === "function" && step.status === "failed") {
    return { kind: "unchanged", note: { kind: "exhausted", index, attempt: step.attempt } };
  }
  const mismatch = refuseResult(step, change.stepKey);
  if (mismatch !== undefined) return mismatch;
  if (step?.status === "completed") {
    return refuse("STEP_COMPLETED", `step "${change.stepKey}" has a result; a late failure changes nothing`, {
      field: "step_key",
    });
  }
  const pending = state.pendingStarts.get(change.stepKey);
  const failedAttempt = step?.failedAttempt ?? 0;
  const attempt = change.attempt !== 0 ? change.attempt : Math.max(currentAttempt(step, pending), failedAttempt + 1);
  if (step !== undefined && attempt <= failedAttempt) {
    const note: ChangeNote = { kind: "retry", index, nextAttempt: failedAttempt + 1, retryAtMs: step.retryAtMs };
    return { kind: "unchanged", note };
  }
  if (attempt !== failedAttempt + 1) {
    return refuse("INVALID", `attempt ${attempt} of "${change.stepKey}": the next one is ${failedAttempt + 1}`, {
      field: "attempt",
    });
  }
  if (step === undefined && pending === undefined && atHistoryLimit(state, context, 0)) return historyLimit(state);
  const startedAtMs = startOf(step, pending, attempt, context.nowMs - change.elapsedMs);
  const policy = change.retryPolicy ?? pending?.retryPolicy ?? step?.retryPolicy;
  return failAttempt(state, context, {
    stepKey: change.stepKey,
    attempt,
    startedAtMs,
    failure: change.failure,
    policy,
  });
}

/** One failed attempt: another follows at retryAtMs, or the step has failed for good. */
export function failAttempt(
  state: RunState,
  context: ChangeContext,
  failed: {
    stepKey: string;
    attempt: number;
    startedAtMs: number;
    failure: Failure;
    policy: RetryPolicy | undefined;
  },
): ChangeDecision {
  const { stepKey, attempt, startedAtMs, failure } = failed;
  const firstStartedAtMs = state.steps.get(stepKey)?.firstStartedAtMs || startedAtMs;
  const elapsedMs = context.nowMs - firstStartedAtMs;
  const more = opColumns(context, { stepKey, startedAtMs });
  const delayMs = nextAttemptDelayMs(failed.policy, attempt, failure, elapsedMs, context.random());
  if (delayMs === undefined || atHistoryLimit(state, context, 0)) {
    const event = context.next("StepFailed", { attempt, failure }, more);
    return recorded([event], { kind: "exhausted", index: context.index, attempt });
  }
  const retryAtMs = context.nowMs + delayMs;
  const event = context.next("StepAttemptFailed", { attempt, failure, retryAtMs }, more);
  return recorded([event], { kind: "retry", index: context.index, nextAttempt: attempt + 1, retryAtMs });
}

/** Refuses what stands for something else in the history, or failed for good. */
function refuseResult(step: StepState | undefined, stepKey: string): Refusal | undefined {
  if (step === undefined) return undefined;
  if (step.kind !== "function") {
    return refuse("STEP_KIND_MISMATCH", `"${stepKey}" is a ${step.kind} in the history`, { field: "step_key" });
  }
  if (step.status === "failed") {
    return refuse("STEP_FAILED", `step "${stepKey}" failed for good`, { field: "step_key" });
  }
  return undefined;
}

function currentAttempt(step: StepState | undefined, pending: PendingStart | undefined): number {
  if (pending !== undefined) return pending.attempt;
  if (step === undefined) return 1;
  return step.status === "running" ? step.attempt : step.failedAttempt + 1;
}

function startOf(
  step: StepState | undefined,
  pending: PendingStart | undefined,
  attempt: number,
  fallbackMs: number,
): number {
  if (pending?.attempt === attempt) return pending.startedAtMs;
  if (step?.status === "running" && step.attempt === attempt) return step.startedAtMs;
  return fallbackMs;
}
