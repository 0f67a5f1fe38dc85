import type { EventOf, LeaseEndReason, RunEvent } from "./event.ts";
import { stepAttemptFailed, stepCompleted, stepFailed, stepStarted } from "./evolve-step.ts";
import {
  awaitedIsThere,
  awaitsRetry,
  runSuspended,
  signalConsumed,
  signalReceived,
  signalReserved,
  signalsFreed,
  timerCancelled,
  timerFired,
  timerSet,
} from "./evolve-wait.ts";
import { createState } from "./new-state.ts";
import { emptyMap, put, remove } from "./sparse-map.ts";
import type { RunState } from "./state.ts";
import { close, enqueue, progress, setStatus } from "./transitions.ts";
import { unreachable } from "./unreachable.ts";

// (state, event) -> state. Total: whatever decide can emit, evolve can fold, and a fold of the history from seq 1 gives
// the state that the engine held in memory. Nothing is judged here: a decision was made when the event was written.
//
// The status moves like this:
//   RunCreated -> QUEUED --LeaseGranted--> RUNNING --RunSuspended--> WAITING (or QUEUED when something awaited is there)
//   LeaseEnded of a RUNNING run -> QUEUED; a final or pausing event behind it says otherwise
//   SignalReceived, TimerFired, RetryDue that a WAITING run awaits -> QUEUED
//   RunPaused -> PAUSED; RunResumed -> QUEUED or WAITING; RunReopened -> QUEUED

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
    case "SignalReserved":
      return signalReserved(state, event);
    default:
      return unreachable(event);
  }
}

function recordOp(state: RunState, event: RunEvent): void {
  const known = state.ops.get(event.opId);
  if (known === undefined) {
    state.ops = put(state.ops, event.opId, { digest: event.opDigest, firstSeq: event.seq, lastSeq: event.seq });
  } else {
    state.ops = put(state.ops, event.opId, { digest: known.digest, firstSeq: known.firstSeq, lastSeq: event.seq });
  }
  if (event.opId > state.lastOpId) state.lastOpId = event.opId;
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
  state.runTimeoutMs = state.timeoutAtMs === 0 ? 0 : state.timeoutAtMs - event.atMs;
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
  state.grantedSeq = event.seq;
  state.deliveries += 1;
  state.ops = emptyMap();
  state.lastOpId = 0;
  if (state.startedAtMs === 0) state.startedAtMs = event.atMs;
  setStatus(state, "RUNNING");
}

/** Back-off behind an expiry is in the event; here only the count. */
function leaseEnded(state: RunState, event: EventOf<"LeaseEnded">): void {
  const { detail } = event;
  state.lease = undefined;
  state.pendingStarts = emptyMap();
  signalsFreed(state);
  if (detail.uncounted === true) state.deliveries = Math.max(0, state.deliveries - 1);
  if (detail.reason === "EXPIRED") state.expiries += 1;
  if (state.status === "RUNNING" && requeues(detail.reason)) enqueue(state, detail.availableAtMs ?? event.atMs);
}

/** DONE is followed by a final event, SUSPENDED follows RunSuspended; all others put the run back. */
function requeues(reason: LeaseEndReason): boolean {
  return reason !== "DONE" && reason !== "SUSPENDED";
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

/** A run that was to start or to be tried later still is: a pause that was asked for does not shorten that time. */
function runResumed(state: RunState, event: EventOf<"RunResumed">): void {
  if (state.pauseReason === "DELIVERY_BUDGET") state.deliveries = 0;
  const later = state.pauseReason === "REQUESTED" && state.cancel === undefined ? state.availableAtMs : 0;
  state.pauseReason = undefined;
  if (state.cancel === undefined && state.awaits.length > 0 && !awaitedIsThere(state, event.atMs)) {
    return setStatus(state, "WAITING");
  }
  enqueue(state, Math.max(event.atMs, later));
}

/** Timers and open signals of the closed run are still in the state: a final event drops nothing, so they go on. */
function runReopened(state: RunState, event: EventOf<"RunReopened">): void {
  for (const key of event.detail.voidedSteps) remove(state.steps, key);
  const { requestId } = event.detail;
  if (requestId !== undefined) state.retryRequests = put(state.retryRequests, requestId, event.seq);
  state.timeoutAtMs = event.detail.timeoutAtMs ?? 0;
  state.failure = undefined;
  state.failedSteps = [];
  state.closedAtMs = 0;
  state.cancel = undefined;
  progress(state);
  enqueue(state, event.atMs);
}
