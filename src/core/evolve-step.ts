import type { EventOf } from "./event.ts";
import { freshStep } from "./new-state.ts";
import { put, remove } from "./sparse-map.ts";
import type { RunState } from "./state.ts";
import { progress } from "./transitions.ts";

// What the events of steps change.

export function stepStarted(state: RunState, event: EventOf<"StepStarted">): void {
  const { detail } = event;
  const step = state.steps.get(event.stepKey) ?? freshStep;
  remove(state.pendingStarts, event.stepKey);
  state.steps = put(state.steps, event.stepKey, {
    ...step,
    status: "running",
    attempt: detail.attempt,
    firstStartedAtMs: step.firstStartedAtMs || event.startedAtMs,
    startedAtMs: event.startedAtMs,
    retryAtMs: 0,
    atMostOnce: detail.atMostOnce ?? false,
    timeoutAtMs: detail.timeoutMs === undefined ? 0 : event.startedAtMs + detail.timeoutMs,
    retryPolicy: detail.retryPolicy,
    seq: event.seq,
  });
}

export function stepAttemptFailed(state: RunState, event: EventOf<"StepAttemptFailed">): void {
  const { detail } = event;
  const step = state.steps.get(event.stepKey) ?? freshStep;
  remove(state.pendingStarts, event.stepKey);
  state.steps = put(state.steps, event.stepKey, {
    ...step,
    status: "retrying",
    attempt: detail.attempt,
    failedAttempt: detail.attempt,
    firstStartedAtMs: step.firstStartedAtMs || event.startedAtMs,
    startedAtMs: event.startedAtMs,
    retryAtMs: detail.retryAtMs,
    timeoutAtMs: 0,
    seq: event.seq,
  });
}

export function stepCompleted(state: RunState, event: EventOf<"StepCompleted">): void {
  const step = state.steps.get(event.stepKey);
  remove(state.pendingStarts, event.stepKey);
  state.steps = put(state.steps, event.stepKey, {
    kind: "function",
    status: "completed",
    attempt: event.detail?.attempt ?? 1,
    failedAttempt: step?.failedAttempt ?? 0,
    firstStartedAtMs: step?.firstStartedAtMs || event.startedAtMs,
    startedAtMs: event.startedAtMs,
    retryAtMs: 0,
    atMostOnce: false,
    timeoutAtMs: 0,
    retryPolicy: undefined,
    seq: event.seq,
    signalName: "",
    signalSeq: 0,
  });
  state.stepsCompleted += 1;
  progress(state);
}

export function stepFailed(state: RunState, event: EventOf<"StepFailed">): void {
  const step = state.steps.get(event.stepKey) ?? freshStep;
  remove(state.pendingStarts, event.stepKey);
  state.steps = put(state.steps, event.stepKey, {
    ...step,
    status: "failed",
    attempt: event.detail.attempt,
    failedAttempt: event.detail.attempt,
    startedAtMs: event.startedAtMs,
    retryAtMs: 0,
    timeoutAtMs: 0,
    atMostOnce: false,
    retryPolicy: undefined,
    seq: event.seq,
  });
  progress(state);
}
