import type { EventOf } from "./event.ts";
import { freshStep } from "./new-state.ts";
import { put, remove } from "./sparse-map.ts";
import type { RunState } from "./state.ts";
import { enqueue, progress, setStatus } from "./transitions.ts";
import { unreachable } from "./unreachable.ts";

// What the events of timers and signals change, and when a run has what it waits for.

export function timerSet(state: RunState, event: EventOf<"TimerSet">): void {
  const signalName = event.detail.signalName ?? "";
  state.timers = put(state.timers, event.stepKey, { firesAtMs: event.detail.firesAtMs, signalName });
  state.steps = put(state.steps, event.stepKey, {
    ...freshStep,
    kind: signalName === "" ? "sleep" : "signal",
    status: "waiting",
    seq: event.seq,
    signalName,
  });
}

export function timerFired(state: RunState, event: EventOf<"TimerFired">): void {
  const step = state.steps.get(event.stepKey) ?? freshStep;
  remove(state.timers, event.stepKey);
  state.steps = put(state.steps, event.stepKey, { ...step, status: "completed", seq: event.seq });
  state.timerFiredSeq = event.seq;
  if (state.status === "WAITING" && awaitsTimer(state, event.stepKey)) enqueue(state, event.atMs);
}

export function timerCancelled(state: RunState, event: EventOf<"TimerCancelled">): void {
  const step = state.steps.get(event.stepKey) ?? freshStep;
  remove(state.timers, event.stepKey);
  state.steps = put(state.steps, event.stepKey, { ...step, status: "cancelled", seq: event.seq });
}

export function signalReceived(state: RunState, event: EventOf<"SignalReceived">): void {
  const { name, requestId } = event.detail;
  state.signals = [...state.signals, { seq: event.seq, name }];
  if (requestId !== undefined) {
    state.signalRequests = put(state.signalRequests, requestId, event.seq);
  }
  if (state.status === "WAITING" && awaitsSignal(state, name)) enqueue(state, event.atMs);
}

export function signalConsumed(state: RunState, event: EventOf<"SignalConsumed">): void {
  const { signalSeq, name } = event.detail;
  state.signals = state.signals.filter((signal) => signal.seq !== signalSeq);
  if (state.reservedSignals.length > 0) {
    state.reservedSignals = state.reservedSignals.filter((signal) => signal.seq !== signalSeq);
  }
  remove(state.timers, event.stepKey);
  state.steps = put(state.steps, event.stepKey, {
    ...freshStep,
    kind: "signal",
    status: "completed",
    seq: event.seq,
    signalName: name,
    signalSeq,
  });
  progress(state);
}

export function signalReserved(state: RunState, event: EventOf<"SignalReserved">): void {
  const { signalSeq, name } = event.detail;
  state.signals = state.signals.filter((signal) => signal.seq !== signalSeq);
  state.reservedSignals = [...state.reservedSignals, { seq: signalSeq, name }];
}

/** The lease ended without a result: what its holder had taken is open again, at its old place. */
export function signalsFreed(state: RunState): void {
  if (state.reservedSignals.length === 0) return;
  state.signals = [...state.signals, ...state.reservedSignals].sort((a, b) => a.seq - b.seq);
  state.reservedSignals = [];
}

export function runSuspended(state: RunState, event: EventOf<"RunSuspended">): void {
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
        return state.signals.some((signal) => signal.name === awaited.name) || hasResult(state, awaited.stepKey);
      case "retry": {
        const step = state.steps.get(awaited.stepKey);
        return step === undefined || step.status !== "retrying" || step.retryAtMs <= nowMs;
      }
      case "any":
        return state.timerFiredSeq > state.grantedSeq || state.signals.some(({ seq }) => seq > state.grantedSeq);
      default:
        return unreachable(awaited);
    }
  });
}

function hasResult(state: RunState, stepKey: string | undefined): boolean {
  return stepKey !== undefined && state.steps.get(stepKey)?.status === "completed";
}

function awaitsTimer(state: RunState, stepKey: string): boolean {
  return state.awaits.some(
    (awaited) =>
      awaited.kind === "any" ||
      ((awaited.kind === "timer" || awaited.kind === "signal") && awaited.stepKey === stepKey),
  );
}

function awaitsSignal(state: RunState, name: string): boolean {
  return state.awaits.some((awaited) => awaited.kind === "any" || (awaited.kind === "signal" && awaited.name === name));
}

export function awaitsRetry(state: RunState, stepKey: string): boolean {
  return state.awaits.some((awaited) => awaited.kind === "retry" && awaited.stepKey === stepKey);
}
