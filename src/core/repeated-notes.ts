import type { Change } from "./command.ts";
import { type ChangeNote, isServerKey } from "./decision.ts";
import type { EventTypeName, RunEvent } from "./event.ts";
import type { RunState } from "./state.ts";

// The notes of an op that was applied before, made again: a repeat is told what the first answer said. The events that
// the op wrote say most of it. A change that wrote none had found what an earlier change of the op wrote, or what was
// there before the op.

const written: Partial<Record<Change["type"], readonly EventTypeName[]>> = {
  StartStep: ["StepStarted"],
  CompleteStep: ["StepCompleted"],
  FailStep: ["StepAttemptFailed", "StepFailed"],
  SetTimer: ["TimerSet"],
  ConsumeSignal: ["SignalConsumed"],
  BackOff: ["TimerSet"],
};

/** `events`: those of the op and no others, in order. */
export function repeatedNotes(
  state: RunState,
  changes: readonly Change[],
  events: readonly RunEvent[],
  nowMs: number,
): ChangeNote[] {
  const firstSeq = events[0]?.seq ?? 0;
  const left = [...events];
  const newest = new Map<string, RunEvent>();
  const notes: ChangeNote[] = [];
  for (const [index, change] of changes.entries()) {
    if (!("stepKey" in change)) continue;
    const { stepKey } = change;
    const at = left.findIndex((event) => wrote(change, event));
    const [own] = at < 0 ? [] : left.splice(at, 1);
    const note =
      own !== undefined
        ? noteOf(own, index)
        : (found(change, newest.get(stepKey), index) ?? foundBefore(state, change, firstSeq, index, nowMs));
    if (own !== undefined) newest.set(stepKey, own);
    if (note !== undefined) notes.push(note);
  }
  return notes;
}

function wrote(change: Change & { stepKey: string }, { type, stepKey }: RunEvent): boolean {
  if (written[change.type]?.includes(type) !== true) return false;
  // The timer of a back-off has a key of the server.
  return change.type === "BackOff" ? isServerKey(stepKey) : stepKey === change.stepKey;
}

function noteOf(event: RunEvent, index: number): ChangeNote | undefined {
  switch (event.type) {
    case "StepAttemptFailed":
      return { kind: "retry", index, nextAttempt: event.detail.attempt + 1, retryAtMs: event.detail.retryAtMs };
    case "StepFailed":
      return { kind: "exhausted", index, attempt: event.detail.attempt };
    case "SignalConsumed":
      return { kind: "signal", index, signalSeq: event.detail.signalSeq };
    case "TimerSet":
      return { kind: "timer", index, firesAtMs: event.detail.firesAtMs };
    default:
      return undefined;
  }
}

/** What the change met of an earlier one of its op. */
function found(change: Change, earlier: RunEvent | undefined, index: number): ChangeNote | undefined {
  if (earlier === undefined) return undefined;
  if (change.type === "CompleteStep" || change.type === "StartStep") {
    return earlier.type === "StepCompleted" ? { kind: "stored", index, seq: earlier.seq } : undefined;
  }
  return written[change.type]?.includes(earlier.type) === true ? noteOf(earlier, index) : undefined;
}

/** What the change met of the time before its op, as far as the state still says it. */
function foundBefore(
  state: RunState,
  change: Change & { stepKey: string },
  firstSeq: number,
  index: number,
  nowMs: number,
): ChangeNote | undefined {
  const step = state.steps.get(change.stepKey);
  if (step === undefined) return undefined;
  switch (change.type) {
    case "StartStep":
    case "CompleteStep":
      if (step.status !== "completed" || step.seq >= firstSeq) return undefined;
      return { kind: "stored", index, seq: step.seq };
    case "FailStep":
    case "BackOff":
      if (step.status === "failed") return { kind: "exhausted", index, attempt: step.attempt };
      if (change.type === "BackOff" || step.status !== "retrying") return undefined;
      return { kind: "retry", index, nextAttempt: step.failedAttempt + 1, retryAtMs: step.retryAtMs };
    case "SetTimer":
      return { kind: "timer", index, firesAtMs: state.timers.get(change.stepKey)?.firesAtMs ?? nowMs };
    case "ConsumeSignal":
      return step.signalSeq === 0 ? undefined : { kind: "signal", index, signalSeq: step.signalSeq };
    default:
      return undefined;
  }
}
