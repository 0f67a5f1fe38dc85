import type { LostLease, ServerFrame, SessionSettings, Verdict } from "../../engine/frames.ts";
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import { LeaseEndReason } from "../../../gen/ts/everstep/v1/lease_pb.ts";
import {
  GoAwayReason,
  type LostLease as WireLost,
  type SessionResponse,
  type SessionSettings as WireSettings,
  type Verdict as WireVerdict,
  type Welcome,
  type ServerFrame as WireFrame,
} from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { version } from "../../version.ts";
import { assignmentTo, journalEntryTo, noticeTo } from "./assignment.ts";
import { hexTo } from "./lease.ts";
import { opResultTo } from "./op-result.ts";

// Frames of a session on their way out. The engine speaks of one thing at a time; neighbours of the same kind travel
// in one frame, because a frame costs more than what is in it.

type Frame = WireFrame["frame"];

export function sessionResponses(frames: readonly ServerFrame[]): SessionResponse[] {
  const responses: SessionResponse[] = [];
  let last: Frame = { case: undefined };
  for (const frame of frames) {
    if (joins(last, frame)) continue;
    last = frameTo(frame);
    responses.push({
      $typeName: "everstep.v1.SessionResponse",
      frame: { $typeName: "everstep.v1.ServerFrame", frame: last },
    });
  }
  return responses;
}

/** Puts a frame into the one before it when both are of the same kind. */
function joins(last: Frame, frame: ServerFrame): boolean {
  if (frame.kind === "opResult" && last.case === "opResults") last.value.results.push(opResultTo(frame.result));
  else if (frame.kind === "assign" && last.case === "assign") {
    last.value.assignments.push(assignmentTo(frame.assignment));
  } else if (frame.kind === "notice" && last.case === "notices") last.value.notices.push(noticeTo(frame.notice));
  else if (frame.kind === "revoke" && last.case === "revoke") last.value.leases.push(lostTo(frame.lost));
  else return false;
  return true;
}

function frameTo(frame: ServerFrame): Frame {
  switch (frame.kind) {
    case "opResult":
      return { case: "opResults", value: { $typeName: "everstep.v1.OpResults", results: [opResultTo(frame.result)] } };
    case "assign": {
      const assignments = [assignmentTo(frame.assignment)];
      return { case: "assign", value: { $typeName: "everstep.v1.Assign", assignments } };
    }
    case "notice":
      return { case: "notices", value: { $typeName: "everstep.v1.Notices", notices: [noticeTo(frame.notice)] } };
    case "revoke":
      return { case: "revoke", value: { $typeName: "everstep.v1.Revoke", leases: [lostTo(frame.lost)] } };
    case "beatAck":
      return {
        case: "beatAck",
        value: {
          $typeName: "everstep.v1.BeatAck",
          beatSeq: BigInt(frame.beatSeq),
          expiresInMs: BigInt(Math.max(0, Math.floor(frame.expiresInMs))),
          lost: frame.lost.map(lostTo),
        },
      };
    case "journalChunk":
      return {
        case: "journalChunk",
        value: {
          $typeName: "everstep.v1.JournalChunk",
          leaseId: hexTo(frame.leaseId),
          journal: frame.journal.map(journalEntryTo),
          continues: frame.continues,
        },
      };
    case "welcome":
      return { case: "welcome", value: welcomeTo(frame) };
    case "drainAck":
      return { case: "drainAck", value: { $typeName: "everstep.v1.DrainAck" } };
    case "goAway":
      return {
        case: "goAway",
        value: {
          $typeName: "everstep.v1.GoAway",
          reason: GoAwayReason[frame.reason],
          reconnectAfterMs: BigInt(Math.ceil(frame.reconnectAfterMs)),
          jitterMs: BigInt(Math.ceil(frame.jitterMs)),
          message: frame.message,
        },
      };
    case "ping":
      return { case: "ping", value: { $typeName: "everstep.v1.Ping", nonce: BigInt(frame.nonce) } };
    case "frameRefused": {
      const { reason, message, field } = frame.refusal;
      return {
        case: "frameRefused",
        value: { $typeName: "everstep.v1.FrameRefused", reason: ErrorReason[reason], message, field },
      };
    }
  }
}

function lostTo(lost: LostLease): WireLost {
  return { $typeName: "everstep.v1.LostLease", leaseId: hexTo(lost.leaseId), reason: LeaseEndReason[lost.reason] };
}

function welcomeTo(frame: Extract<ServerFrame, { kind: "welcome" }>): Welcome {
  return {
    $typeName: "everstep.v1.Welcome",
    sessionId: frame.sessionId,
    resumeToken: hexTo(frame.resumeToken),
    resumed: frame.resumed,
    protocolVersion: 1,
    serverVersion: version,
    settings: settingsTo(frame.settings),
    verdicts: frame.verdicts.map(verdictTo),
  };
}

function settingsTo(settings: SessionSettings): WireSettings {
  return {
    $typeName: "everstep.v1.SessionSettings",
    leaseTtlMs: BigInt(Math.floor(settings.leaseTtlMs)),
    beatIntervalMs: BigInt(Math.floor(settings.beatIntervalMs)),
    watchdogMs: BigInt(Math.floor(settings.watchdogMs)),
    acceptTimeoutMs: BigInt(Math.floor(settings.acceptTimeoutMs)),
    payloadBytesMax: BigInt(settings.payloadBytesMax),
    frameOpsMax: settings.frameOpsMax,
  };
}

function verdictTo(verdict: Verdict): WireVerdict {
  return {
    $typeName: "everstep.v1.Verdict",
    leaseId: hexTo(verdict.leaseId),
    kept: verdict.kept,
    lostReason: LeaseEndReason[verdict.lostReason ?? "UNSPECIFIED"],
    lastOpId: BigInt(verdict.lastOpId),
  };
}
