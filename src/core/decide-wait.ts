import { nextAttemptDelayMs } from "./backoff.ts";
import type { AddTimer, Change } from "./command.ts";
import { closed, corrupt, isOpen } from "./decide-run.ts";
import { type ChangeContext, type ChangeDecision, opColumns, recorded, unchanged } from "./decide-step.ts";
import { type Refusal, refuse } from "./errors.ts";
import type { Await, RunEvent } from "./event.ts";
import { awaitedIsThere } from "./evolve-wait.ts";
import { consumeReserved } from "./decide-signal.ts";
import { runsHere } from "./open-starts.ts";
import { type Accepted, accept, type DecideContext, sequence, serverKey } from "./decision.ts";
import type { Failure } from "./failure.ts";
import { unreachable } from "./unreachable.ts";
import { atHistoryLimit, historyLimit } from "./history-limit.ts";
import type { RunState } from "./state.ts";

// Waiting: timers, signals, suspend. A wait is one step key with one result, SignalConsumed or TimerFired, whichever is
// in the history first.

type ChangeOf<T extends Change["type"]> = Extract<Change, { type: T }>;

/** A start that is not in the history yet (see PendingStart) has taken its key all the same. */
function startedAsFunction(state: RunState, stepKey: string): Refusal | undefined {
  if (!state.pendingStarts.has(stepKey)) return undefined;
  return refuse("STEP_KIND_MISMATCH", `"${stepKey}" was started as a function`, { field: "step_key" });
}

export function decideSetTimer(state: RunState, change: ChangeOf<"SetTimer">, context: ChangeContext): ChangeDecision {
  const kind = change.signalName === "" ? "sleep" : "signal";
  const mismatch = startedAsFunction(state, change.stepKey);
  if (mismatch !== undefined) return mismatch;
  const step = state.steps.get(change.stepKey);
  if (step !== undefined && step.kind !== kind) {
    return refuse("STEP_KIND_MISMATCH", `"${change.stepKey}" is a ${step.kind} in the history`, { field: "step_key" });
  }
  if (step !== undefined) {
    const firesAtMs = state.timers.get(change.stepKey)?.firesAtMs ?? context.nowMs;
    return { kind: "unchanged", note: { kind: "timer", index: context.index, firesAtMs } };
  }
  if (state.timers.size >= context.limits.pendingTimersMax) {
    return refuse("HISTORY_LIMIT", `run has ${state.timers.size} pending timers, the limit`, { field: "step_key" });
  }
  if (atHistoryLimit(state, context, 0)) return historyLimit(state);
  const firesAtMs = context.nowMs + change.delayMs;
  const detail = change.signalName === "" ? { firesAtMs } : { firesAtMs, signalName: change.signalName };
  const event = context.next("TimerSet", detail, opColumns(context, { stepKey: change.stepKey }));
  return recorded([event], { kind: "timer", index: context.index, firesAtMs });
}

/** A timer that anybody may set, under a key that the server makes. */
export function decideAddTimer(state: RunState, command: AddTimer, context: DecideContext): Accepted | Refusal {
  if (!isOpen(state)) return closed(state);
  if (state.pauseReason === "CORRUPT_HISTORY") return corrupt(state);
  if (state.timers.size >= context.limits.pendingTimersMax) {
    return refuse("HISTORY_LIMIT", `run has ${state.timers.size} pending timers, the limit`);
  }
  if (atHistoryLimit(state, context, 0)) return historyLimit(state);
  const { firesAtMs } = command;
  const next = sequence(state, context.nowMs);
  const event = next("TimerSet", { firesAtMs }, { stepKey: serverKey(state.lastSeq + 1) });
  return accept([event], [{ kind: "stored", index: 0, seq: event.seq }]);
}

/**
 * One failed attempt, a timer, and the lease given up, in one commit. Its count is the larger of what the worker says
 * and what the history knows: a worker that lost its memory does not retry for ever. Nothing changes when the retries
 * are used up.
 */
export function decideBackOff(state: RunState, change: ChangeOf<"BackOff">, context: ChangeContext): ChangeDecision {
  const { index } = context;
  const step = state.steps.get(change.stepKey);
  if (step !== undefined && step.kind !== "function") {
    return refuse("STEP_KIND_MISMATCH", `"${change.stepKey}" is a ${step.kind} in the history`, { field: "step_key" });
  }
  if (step?.status === "completed") {
    return refuse("STEP_COMPLETED", `step "${change.stepKey}" has a result`, { field: "step_key" });
  }
  // An attempt that this lease has already recorded as failed is the one that is retried now.
  const recordedHere = step?.status === "retrying" && step.seq > state.grantedSeq;
  const failedAttempt = step?.failedAttempt ?? 0;
  const attempt = recordedHere ? failedAttempt : failedAttempt + 1;
  const count = Math.max(change.retryCount, attempt);
  if (step?.status === "failed" || count > change.retriesMax) {
    return { kind: "unchanged", note: { kind: "exhausted", index, attempt } };
  }
  if (atHistoryLimit(state, context, 0)) return historyLimit(state);
  const failure: Failure = { type: "Error", message: "the worker asked for a retry" };
  const delayMs = nextAttemptDelayMs({ ...change.policy, maxAttempts: 0 }, count, failure, 0, 0) ?? 0;
  const firesAtMs = context.nowMs + delayMs;
  const events: RunEvent[] = [];
  if (!recordedHere) {
    const more = opColumns(context, { stepKey: change.stepKey, startedAtMs: step?.startedAtMs ?? 0 });
    events.push(context.next("StepAttemptFailed", { attempt, failure, retryAtMs: firesAtMs }, more));
  }
  const stepKey = serverKey(state.lastSeq + events.length + 1);
  events.push(
    context.next("TimerSet", { firesAtMs }, opColumns(context, { stepKey })),
    context.next("RunSuspended", { awaits: [{ kind: "timer", stepKey }] }, opColumns(context, {})),
    context.next("LeaseEnded", { reason: "SUSPENDED" }, opColumns(context, {})),
    ...pauseDue(state, context),
  );
  return recorded(events, { kind: "timer", index, firesAtMs });
}

/** A pause that waited for the lease to end. */
function pauseDue(state: RunState, context: ChangeContext): RunEvent[] {
  if (state.pauseDeadlineAtMs === 0) return [];
  const text = state.pauseText === "" ? {} : { text: state.pauseText };
  return [context.next("RunPaused", { reason: "REQUESTED", ...text }, opColumns(context, {}))];
}

export function decideCancelTimer(
  state: RunState,
  change: ChangeOf<"CancelTimer">,
  context: ChangeContext,
): ChangeDecision {
  const step = state.steps.get(change.stepKey);
  if (step === undefined || step.kind === "function") {
    return refuse("INVALID", `no timer has the step key "${change.stepKey}"`, { field: "step_key" });
  }
  if (step.status === "cancelled") return unchanged;
  if (!state.timers.has(change.stepKey)) {
    return refuse("TIMER_FIRED", `the wait "${change.stepKey}" has its result`, { field: "step_key" });
  }
  return recorded([context.next("TimerCancelled", undefined, opColumns(context, { stepKey: change.stepKey }))]);
}

export function decideConsumeSignal(
  state: RunState,
  change: ChangeOf<"ConsumeSignal">,
  context: ChangeContext,
): ChangeDecision {
  const mismatch = startedAsFunction(state, change.stepKey);
  if (mismatch !== undefined) return mismatch;
  const step = state.steps.get(change.stepKey);
  if (step !== undefined && (step.kind !== "signal" || step.signalName !== change.name)) {
    const is = step.kind === "signal" ? `wait for "${step.signalName}"` : step.kind;
    return refuse("STEP_KIND_MISMATCH", `"${change.stepKey}" is a ${is} in the history`, { field: "step_key" });
  }
  if (step?.status === "cancelled") {
    return refuse("STEP_KIND_MISMATCH", `the wait "${change.stepKey}" was cancelled`, { field: "step_key" });
  }
  if (step?.status === "completed") {
    if (step.signalSeq === 0) {
      return refuse("WAIT_TIMED_OUT", `the timer of "${change.stepKey}" fired first`, { field: "step_key" });
    }
    return { kind: "unchanged", note: { kind: "signal", index: context.index, signalSeq: step.signalSeq } };
  }
  const signal = state.signals.find((open) => open.name === change.name);
  if (signal === undefined) return refuse("NO_SIGNAL", `no open signal "${change.name}"`, { field: "name" });
  if (atHistoryLimit(state, context, 0)) return historyLimit(state);
  const detail = { signalSeq: signal.seq, name: change.name };
  const event = context.next("SignalConsumed", detail, opColumns(context, { stepKey: change.stepKey }));
  return recorded([event], { kind: "signal", index: context.index, signalSeq: signal.seq });
}

/** Never leaves a run WAITING when something awaited is already there, whatever the worker has seen. */
export function decideSuspend(state: RunState, change: ChangeOf<"SuspendRun">, context: ChangeContext): ChangeDecision {
  if (change.awaits.length === 0) {
    return refuse("INVALID", "awaits must name at least one timer, signal or retry", { field: "awaits" });
  }
  for (const awaited of change.awaits) {
    const problem = unknownAwait(state, awaited);
    if (problem !== undefined) return refuse("INVALID", problem, { field: "awaits" });
  }
  // Who awaits anything has no steps that this process could know of: the seed's workers suspend in the middle of one.
  const running = change.awaits.some(({ kind }) => kind === "any") ? undefined : runningHere(state);
  if (running !== undefined) {
    return refuse("INVALID_STATE", `step "${running}" is running; a run suspends only while none is`);
  }
  const probe = { ...state, awaits: change.awaits };
  const cancelUnseen = state.cancel !== undefined && state.cancel.seq > change.noticesSeen;
  if (context.onSession && (awaitedIsThere(probe, context.nowMs) || cancelUnseen)) {
    return refuse("NOTICES_PENDING", "something awaited is already there", { retryAfterMs: 0 });
  }
  const events: RunEvent[] = [
    ...consumeReserved(state, context),
    context.next(
      "RunSuspended",
      { awaits: change.awaits, ...(cancelUnseen ? { cancelUnseen } : {}) },
      opColumns(context, {}),
    ),
    context.next("LeaseEnded", { reason: "SUSPENDED" }, opColumns(context, {})),
    ...pauseDue(state, context),
  ];
  return recorded(events);
}

function runningHere(state: RunState): string | undefined {
  for (const key of state.pendingStarts.keys()) return key;
  for (const [key, step] of state.steps) if (runsHere(state, step)) return key;
  return undefined;
}

function unknownAwait(state: RunState, awaited: Await): string | undefined {
  switch (awaited.kind) {
    case "timer": {
      const step = state.steps.get(awaited.stepKey);
      const known = step !== undefined && step.kind !== "function" && step.status !== "cancelled";
      return known ? undefined : `no timer has the step key "${awaited.stepKey}"`;
    }
    case "signal":
      return awaited.name === "" ? "a signal must have a name" : unknownWait(state, awaited);
    case "retry":
      return state.steps.get(awaited.stepKey)?.status === "retrying"
        ? undefined
        : `no retry is planned for the step key "${awaited.stepKey}"`;
    case "any":
      return undefined;
    default:
      return unreachable(awaited);
  }
}

/** A wait that has its result is known: whoever awaits it is told that it is there. */
function unknownWait(state: RunState, { name, stepKey }: Await & { kind: "signal" }): string | undefined {
  if (stepKey === undefined) return undefined;
  const step = state.steps.get(stepKey);
  const known =
    step === undefined
      ? !state.pendingStarts.has(stepKey)
      : step.kind === "signal" && step.signalName === name && step.status !== "cancelled";
  return known ? undefined : `"${stepKey}" is no wait for the signal "${name}"`;
}
