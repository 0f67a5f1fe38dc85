import type { RunEvent } from "../core/event.ts";
import type { RunState } from "../core/state.ts";
import type { JournalEntry, Notice, SignalView } from "./frames.ts";

// What a worker gets of a history: for each step key the one event that still counts, the open signals, and, for the
// time behind the grant, notices. Which event counts is said by the state at the grant, so that a voided failure or an
// overtaken attempt is left out without a second fold.

/** Seqs of the events that make up the journal at this moment. */
export function journalSeqs(state: RunState): Set<number> | undefined {
  if (state.steps.size === 0) return undefined;
  const seqs = new Set<number>();
  for (const step of state.steps.values()) seqs.add(step.seq);
  return seqs;
}

export interface JournalContext {
  readonly nowMs: number;
  /** Payload of the signal with this seq: a wait's result holds only its number. */
  readonly signalPayload: (seq: number) => JournalSignalPayload;
  /** Start of the first attempt of a step. */
  readonly firstStartedAtMs: (stepKey: string) => number;
  /** The signal that a wait was for. */
  readonly signalName: (stepKey: string) => string;
}
type JournalSignalPayload = Extract<JournalEntry, { kind: "signal" }>["payload"];

export function journalEntry(event: RunEvent, context: JournalContext): JournalEntry | undefined {
  const { stepKey } = event;
  switch (event.type) {
    case "StepCompleted":
      return { stepKey, kind: "completed", output: event.payload };
    case "StepFailed":
      return { stepKey, kind: "failed", failure: event.detail.failure, attempt: event.detail.attempt };
    case "StepAttemptFailed": {
      const { failure, attempt, retryAtMs } = event.detail;
      const elapsedMs = Math.max(0, context.nowMs - context.firstStartedAtMs(stepKey));
      return {
        stepKey,
        kind: "retrying",
        failure,
        attempt,
        delayMs: Math.max(0, retryAtMs - context.nowMs),
        elapsedMs,
      };
    }
    case "StepStarted":
      return { stepKey, kind: "started", attempt: event.detail.attempt };
    case "TimerSet": {
      const delayMs = Math.max(0, event.detail.firesAtMs - context.nowMs);
      return { stepKey, kind: "timer", delayMs, signalName: event.detail.signalName ?? "" };
    }
    case "TimerFired":
      return { stepKey, kind: "timerFired", signalName: context.signalName(stepKey) };
    case "TimerCancelled":
      return { stepKey, kind: "timerCancelled", signalName: context.signalName(stepKey) };
    case "SignalConsumed": {
      const { signalSeq, name } = event.detail;
      return { stepKey, kind: "signal", signalSeq, name, payload: context.signalPayload(signalSeq) };
    }
    default:
      return undefined;
  }
}

export function signalView(event: RunEvent): SignalView {
  if (event.type !== "SignalReceived") throw new Error(`event ${event.seq} is ${event.type}, not SignalReceived`);
  return { seq: event.seq, name: event.detail.name, payload: event.payload, receivedAtMs: event.atMs };
}

/** The notice that an event is to the holder of the run's lease; undefined for events that the holder caused. */
export function noticeOf(event: RunEvent, leaseId: string, nowMs: number): Notice | undefined {
  switch (event.type) {
    case "SignalReceived":
      return { leaseId, seq: event.seq, what: { kind: "signal", signal: signalView(event) } };
    case "TimerFired":
      return { leaseId, seq: event.seq, what: { kind: "timerFired", stepKey: event.stepKey } };
    case "RetryDue":
      return { leaseId, seq: event.seq, what: { kind: "retryDue", stepKey: event.stepKey } };
    case "CancelRequested": {
      const graceMs = Math.max(0, event.detail.deadlineAtMs - nowMs);
      return { leaseId, seq: event.seq, what: { kind: "cancel", reason: event.detail.reason ?? "", graceMs } };
    }
    case "PauseRequested": {
      const graceMs = Math.max(0, event.detail.deadlineAtMs - nowMs);
      return { leaseId, seq: event.seq, what: { kind: "pause", graceMs } };
    }
    default:
      return undefined;
  }
}
