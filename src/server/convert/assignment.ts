import type { Assignment, JournalEntry, Notice } from "../../engine/frames.ts";
import type {
  Assignment as WireAssignment,
  JournalEntry as WireJournalEntry,
  Notice as WireNotice,
} from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { failureTo } from "./failure.ts";
import { hexTo, leaseTo } from "./lease.ts";
import { payloadTo } from "./payload.ts";
import { signalTo } from "./run.ts";

// What a worker gets with and after a grant.

export function assignmentTo(assignment: Assignment): WireAssignment {
  return {
    $typeName: "everstep.v1.Assignment",
    lease: leaseTo(assignment.lease),
    namespace: assignment.namespace,
    workflow: assignment.workflow,
    input: payloadTo(assignment.input),
    leaseTtlMs: BigInt(assignment.leaseTtlMs),
    journal: assignment.journal.map(journalEntryTo),
    journalContinues: assignment.journalContinues,
    openSignals: assignment.openSignals.map(signalTo),
    journalThrough: BigInt(assignment.journalThrough),
    cancelRequested: assignment.cancelRequested,
    deliveries: assignment.deliveries,
    createdAtMs: BigInt(assignment.createdAtMs),
    queue: assignment.queue,
    runKey: assignment.runKey,
  };
}

export function journalEntryTo(entry: JournalEntry): WireJournalEntry {
  return { $typeName: "everstep.v1.JournalEntry", stepKey: entry.stepKey, entry: entryTo(entry) };
}

function entryTo(entry: JournalEntry): WireJournalEntry["entry"] {
  switch (entry.kind) {
    case "completed":
      return {
        case: "completed",
        value: { $typeName: "everstep.v1.JournalCompleted", output: payloadTo(entry.output) },
      };
    case "failed": {
      const { attempt, failure } = entry;
      return {
        case: "failed",
        value: { $typeName: "everstep.v1.JournalFailed", failure: failureTo(failure), attempt },
      };
    }
    case "retrying":
      return {
        case: "retrying",
        value: {
          $typeName: "everstep.v1.JournalRetrying",
          attempt: entry.attempt,
          failure: failureTo(entry.failure),
          delayMs: BigInt(entry.delayMs),
          elapsedMs: BigInt(entry.elapsedMs),
        },
      };
    case "started":
      return { case: "started", value: { $typeName: "everstep.v1.JournalStarted", attempt: entry.attempt } };
    case "timer": {
      const { signalName } = entry;
      const delayMs = BigInt(entry.delayMs);
      return { case: "timer", value: { $typeName: "everstep.v1.JournalTimer", delayMs, signalName } };
    }
    case "timerFired":
      return {
        case: "timerFired",
        value: { $typeName: "everstep.v1.JournalTimerFired", signalName: entry.signalName },
      };
    case "timerCancelled":
      return {
        case: "timerCancelled",
        value: { $typeName: "everstep.v1.JournalTimerCancelled", signalName: entry.signalName },
      };
    case "signal":
      return {
        case: "signal",
        value: {
          $typeName: "everstep.v1.JournalSignal",
          signalId: BigInt(entry.signalSeq),
          name: entry.name,
          payload: payloadTo(entry.payload),
        },
      };
  }
}

export function noticeTo(notice: Notice): WireNotice {
  return {
    $typeName: "everstep.v1.Notice",
    leaseId: hexTo(notice.leaseId),
    seq: BigInt(notice.seq),
    what: whatTo(notice.what),
  };
}

function whatTo(what: Notice["what"]): WireNotice["what"] {
  switch (what.kind) {
    case "cancel":
      return {
        case: "cancel",
        value: { $typeName: "everstep.v1.CancelNotice", reason: what.reason, graceMs: BigInt(what.graceMs) },
      };
    case "signal":
      return { case: "signal", value: signalTo(what.signal) };
    case "timerFired":
      return { case: "timerFired", value: what.stepKey };
    case "retryDue":
      return { case: "retryDue", value: what.stepKey };
    case "pause":
      return { case: "pause", value: { $typeName: "everstep.v1.PauseNotice", graceMs: BigInt(what.graceMs) } };
  }
}
