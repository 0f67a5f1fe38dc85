import type { EventOf, LeaseEndReason, RunEvent } from "./event.ts";
import type { RunState, StepState } from "./state.ts";

// (state, event) -> state. Total: whatever decide can emit, evolve can fold, and a fold of the history from seq 1 gives
// the state that the engine held in memory. Nothing is judged here: a decision was made when the event was written.
//
// The status moves like this:
//   RunCreated -> QUEUED --LeaseGranted--> RUNNING --RunSuspended--> WAITING (or QUEUED when something awaited is there)
//   LeaseEnded of a RUNNING run -> QUEUED; a final or pausing event behind it says otherwise
//   SignalReceived, TimerFired, RetryDue that a WAITING run awaits -> QUEUED
//   RunPaused -> PAUSED; RunResumed -> QUEUED or WAITING; RunReopened -> QUEUED

export function createState(identity: { runNo: number; namespace: string; runId: string }): RunState {
  return {
    runNo: identity.runNo,
    namespace: identity.namespace,
    runId: identity.runId,
    workflow: "",
    queue: "",
    runKey: "",
    priority: 5,
    requestId: "",
    status: "QUEUED",
    pauseReason: undefined,
    version: 0,
    lastSeq: 0,
    historyBytes: 0,
    stepsCompleted: 0,
    createdAtMs: 0,
    updatedAtMs: 0,
    startedAtMs: 0,
    closedAtMs: 0,
    availableAtMs: 0,
    timeoutAtMs: 0,
    epoch: 0,
    lease: undefined,
    lastLeaseId: "",
    deliveries: 0,
    expiries: 0,
    steps: new Map(),
    pendingStarts: new Map(),
    timers: new Map(),
    signals: [],
    signalRequests: new Map(),
    retryRequests: new Set(),
    ops: new Map(),
    lastOpId: 0,
    cancel: undefined,
    pauseDeadlineAtMs: 0,
    pauseText: "",
    awaits: [],
    failure: undefined,
    failedSteps: [],
  };
}

export function foldEvents(
  identity: { runNo: number; namespace: string; runId: string },
  events: Iterable<RunEvent>,
): RunState {
  const state = createState(identity);
  for (const event of events) evolve(state, event);
  return state;
}

/** Fixed part of an event's size: what its columns take beside payload and detail. */
export const eventOverheadBytes = 48;

export function evolve(state: RunState, event: RunEvent): void {
  state.lastSeq = event.seq;
  state.updatedAtMs = event.atMs;
  state.historyBytes += event.bytes + eventOverheadBytes;
  if (event.opId !== 0) recordOp(state, event);
  switch (event.type) {
    case "RunCreated":
      return runCreated(state, event);
    case "LeaseGranted":
      return leaseGranted(state, event);
    case "LeaseExtended":
      if (state.lease !== undefined) state.lease = { ...state.lease, ttlMs: event.detail.ttlMs };
      return;
    case "LeaseEnded":
      return leaseEnded(state, event);
    case "StepStarted":
      return stepStarted(state, event);
    case "StepAttemptFailed":
      return stepAttemptFailed(state, event);
    case "StepCompleted":
      return stepCompleted(state, event);
    case "StepFailed":
      return stepFailed(state, event);
    case "TimerSet":
      return timerSet(state, event);
    case "TimerFired":
      return timerFired(state, event);
    case "TimerCancelled":
      return timerCancelled(state, event);
    case "SignalReceived":
      return signalReceived(state, event);
    case "SignalConsumed":
      return signalConsumed(state, event);
    case "RunSuspended":
      return runSuspended(state, event);
    case "RetryDue":
      if (state.status === "WAITING" && awaitsRetry(state, event.stepKey)) enqueue(state, event.atMs);
      return;
    case "CancelRequested":
      return cancelRequested(state, event);
    case "CancelDelivered":
      if (state.cancel !== undefined) {
        state.cancel = { ...state.cancel, deadlineAtMs: event.detail.deadlineAtMs, delivered: true };
      }
      return;
    case "PauseRequested":
      state.pauseDeadlineAtMs = event.detail.deadlineAtMs;
      state.pauseText = event.detail.reason ?? "";
      return;
    case "RunPaused":
      state.pauseReason = event.detail.reason;
      state.pauseText = event.detail.text ?? "";
      state.pauseDeadlineAtMs = 0;
      if (state.status !== "WAITING") state.awaits = [];
      return setStatus(state, "PAUSED");
    case "RunResumed":
      return runResumed(state, event);
    case "RunCompleted":
      return close(state, "COMPLETED", event.atMs);
    case "RunFailed":
      state.failure = event.detail.failure;
      state.failedSteps = event.detail.failedSteps ?? [];
      return close(state, "FAILED", event.atMs);
    case "RunCancelled":
      return close(state, "CANCELLED", event.atMs);
    case "RunTerminated":
      return close(state, "TERMINATED", event.atMs);
    case "RunReopened":
      return runReopened(state, event);
    default:
      return unreachable(event);
  }
}

function recordOp(state: RunState, event: RunEvent): void {
  const known = state.ops.get(event.opId);
  if (known === undefined) {
    state.ops.set(event.opId, { digest: event.opDigest, firstSeq: event.seq, lastSeq: event.seq });
  } else {
    state.ops.set(event.opId, { digest: known.digest, firstSeq: known.firstSeq, lastSeq: event.seq });
  }
  if (event.opId > state.lastOpId) state.lastOpId = event.opId;
}

function setStatus(state: RunState, status: RunState["status"]): void {
  state.status = status;
  state.version += 1;
}

/** Into the line, now. */
function enqueue(state: RunState, availableAtMs: number): void {
  state.availableAtMs = availableAtMs;
  state.awaits = [];
  setStatus(state, "QUEUED");
}

function close(state: RunState, status: "COMPLETED" | "FAILED" | "CANCELLED" | "TERMINATED", atMs: number): void {
  state.closedAtMs = atMs;
  state.pauseReason = undefined;
  state.pauseDeadlineAtMs = 0;
  state.awaits = [];
  setStatus(state, status);
}

/** A step result, a consumed signal or a suspend that waits: the run got on. */
function progress(state: RunState): void {
  state.deliveries = 0;
  state.expiries = 0;
}

function runCreated(state: RunState, event: EventOf<"RunCreated">): void {
  const { detail } = event;
  state.workflow = detail.workflow;
  state.queue = detail.queue;
  state.runKey = detail.runKey ?? "";
  state.priority = detail.priority ?? 5;
  state.requestId = detail.requestId ?? "";
  state.createdAtMs = event.atMs;
  state.timeoutAtMs = detail.timeoutAtMs ?? 0;
  enqueue(state, detail.availableAtMs ?? event.atMs);
}

function leaseGranted(state: RunState, event: EventOf<"LeaseGranted">): void {
  const { detail } = event;
  state.epoch = event.epoch;
  state.lease = {
    leaseId: detail.leaseId,
    epoch: event.epoch,
    ttlMs: detail.ttlMs,
    workerId: detail.workerId,
    instanceId: detail.instanceId ?? "",
    requestId: detail.requestId ?? "",
    grantedSeq: event.seq,
    grantedAtMs: event.atMs,
  };
  state.lastLeaseId = detail.leaseId;
  state.deliveries += 1;
  state.ops = new Map();
  state.lastOpId = 0;
  if (state.startedAtMs === 0) state.startedAtMs = event.atMs;
  setStatus(state, "RUNNING");
}

/** Back-off behind an expiry is in the event; here only the count. */
function leaseEnded(state: RunState, event: EventOf<"LeaseEnded">): void {
  const { detail } = event;
  state.lease = undefined;
  state.pendingStarts.clear();
  if (detail.uncounted === true) state.deliveries = Math.max(0, state.deliveries - 1);
  if (detail.reason === "EXPIRED") state.expiries += 1;
  if (state.status === "RUNNING" && requeues(detail.reason)) enqueue(state, detail.availableAtMs ?? event.atMs);
}

/** DONE is followed by a final event, SUSPENDED follows RunSuspended; all others put the run back. */
function requeues(reason: LeaseEndReason): boolean {
  return reason !== "DONE" && reason !== "SUSPENDED";
}

const freshStep: StepState = {
  kind: "function",
  status: "running",
  attempt: 0,
  failedAttempt: 0,
  firstStartedAtMs: 0,
  startedAtMs: 0,
  retryAtMs: 0,
  atMostOnce: false,
  timeoutAtMs: 0,
  retryPolicy: undefined,
  seq: 0,
  signalName: "",
  signalSeq: 0,
};

function stepStarted(state: RunState, event: EventOf<"StepStarted">): void {
  const { detail } = event;
  const step = state.steps.get(event.stepKey) ?? freshStep;
  state.pendingStarts.delete(event.stepKey);
  state.steps.set(event.stepKey, {
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

function stepAttemptFailed(state: RunState, event: EventOf<"StepAttemptFailed">): void {
  const { detail } = event;
  const step = state.steps.get(event.stepKey) ?? freshStep;
  state.pendingStarts.delete(event.stepKey);
  state.steps.set(event.stepKey, {
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

function stepCompleted(state: RunState, event: EventOf<"StepCompleted">): void {
  const step = state.steps.get(event.stepKey);
  if (state.pendingStarts.size > 0) state.pendingStarts.delete(event.stepKey);
  state.steps.set(event.stepKey, {
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

function stepFailed(state: RunState, event: EventOf<"StepFailed">): void {
  const step = state.steps.get(event.stepKey) ?? freshStep;
  state.pendingStarts.delete(event.stepKey);
  state.steps.set(event.stepKey, {
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

function timerSet(state: RunState, event: EventOf<"TimerSet">): void {
  const signalName = event.detail.signalName ?? "";
  state.timers.set(event.stepKey, { firesAtMs: event.detail.firesAtMs, signalName });
  state.steps.set(event.stepKey, {
    ...freshStep,
    kind: signalName === "" ? "sleep" : "signal",
    status: "waiting",
    seq: event.seq,
    signalName,
  });
}

function timerFired(state: RunState, event: EventOf<"TimerFired">): void {
  const step = state.steps.get(event.stepKey) ?? freshStep;
  state.timers.delete(event.stepKey);
  state.steps.set(event.stepKey, { ...step, status: "completed", seq: event.seq });
  state.stepsCompleted += 1;
  if (state.status === "WAITING" && awaitsTimer(state, event.stepKey)) enqueue(state, event.atMs);
}

function timerCancelled(state: RunState, event: EventOf<"TimerCancelled">): void {
  const step = state.steps.get(event.stepKey) ?? freshStep;
  state.timers.delete(event.stepKey);
  state.steps.set(event.stepKey, { ...step, status: "cancelled", seq: event.seq });
}

function signalReceived(state: RunState, event: EventOf<"SignalReceived">): void {
  const { name, requestId } = event.detail;
  state.signals = [...state.signals, { seq: event.seq, name }];
  if (requestId !== undefined) state.signalRequests.set(requestId, event.seq);
  if (state.status === "WAITING" && awaitsSignal(state, name)) enqueue(state, event.atMs);
}

function signalConsumed(state: RunState, event: EventOf<"SignalConsumed">): void {
  const { signalSeq, name } = event.detail;
  state.signals = state.signals.filter((signal) => signal.seq !== signalSeq);
  state.timers.delete(event.stepKey);
  state.steps.set(event.stepKey, {
    ...freshStep,
    kind: "signal",
    status: "completed",
    seq: event.seq,
    signalName: name,
    signalSeq,
  });
  state.stepsCompleted += 1;
  progress(state);
}

function runSuspended(state: RunState, event: EventOf<"RunSuspended">): void {
  state.awaits = event.detail.awaits;
  if (awaitedIsThere(state, event.atMs) || event.detail.cancelUnseen === true) return enqueue(state, event.atMs);
  progress(state);
  setStatus(state, "WAITING");
}

/** Something that a run waits for has come: it must not stay WAITING. */
export function awaitedIsThere(state: RunState, nowMs: number): boolean {
  return state.awaits.some((awaited) => {
    switch (awaited.kind) {
      case "timer":
        return !state.timers.has(awaited.stepKey);
      case "signal":
        return state.signals.some((signal) => signal.name === awaited.name);
      case "retry": {
        const step = state.steps.get(awaited.stepKey);
        return step === undefined || step.status !== "retrying" || step.retryAtMs <= nowMs;
      }
      default:
        return unreachable(awaited);
    }
  });
}

function awaitsTimer(state: RunState, stepKey: string): boolean {
  return state.awaits.some((awaited) => awaited.kind === "timer" && awaited.stepKey === stepKey);
}

function awaitsSignal(state: RunState, name: string): boolean {
  return state.awaits.some((awaited) => awaited.kind === "signal" && awaited.name === name);
}

function awaitsRetry(state: RunState, stepKey: string): boolean {
  return state.awaits.some((awaited) => awaited.kind === "retry" && awaited.stepKey === stepKey);
}

/** Open and not leased: into the line at once with the cancel pending. A pause keeps the run until its deadline. */
function cancelRequested(state: RunState, event: EventOf<"CancelRequested">): void {
  const { detail } = event;
  state.cancel = {
    reason: detail.reason ?? "",
    graceMs: detail.graceMs,
    deadlineAtMs: detail.deadlineAtMs,
    delivered: state.lease !== undefined,
    seq: event.seq,
  };
  if (state.status === "WAITING" || state.status === "QUEUED") enqueue(state, event.atMs);
}

function runResumed(state: RunState, event: EventOf<"RunResumed">): void {
  if (state.pauseReason === "DELIVERY_BUDGET") state.deliveries = 0;
  state.pauseReason = undefined;
  if (state.cancel === undefined && state.awaits.length > 0 && !awaitedIsThere(state, event.atMs)) {
    return setStatus(state, "WAITING");
  }
  enqueue(state, event.atMs);
}

/** Timers and open signals of the closed run are still in the state: a final event drops nothing, so they go on. */
function runReopened(state: RunState, event: EventOf<"RunReopened">): void {
  for (const key of event.detail.voidedSteps) state.steps.delete(key);
  if (event.detail.requestId !== undefined) state.retryRequests.add(event.detail.requestId);
  state.timeoutAtMs = event.detail.timeoutAtMs ?? 0;
  state.failure = undefined;
  state.failedSteps = [];
  state.closedAtMs = 0;
  state.cancel = undefined;
  progress(state);
  enqueue(state, event.atMs);
}

export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
