import { isRetryable, type Refusal } from "../../core/errors.ts";
import type { OpApplied, OpResult, ResolvedNote } from "../../engine/frames.ts";
import type {
  ChangeResult,
  OpApplied as WireApplied,
  OpRefusal,
  OpResult as WireOpResult,
} from "../../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import { hexTo } from "./lease.ts";
import { payloadTo } from "./payload.ts";

export function opResultTo({ opId, leaseId, outcome }: OpResult): WireOpResult {
  return {
    $typeName: "everstep.v1.OpResult",
    opId: BigInt(opId),
    leaseId: hexTo(leaseId),
    result:
      outcome.kind === "applied"
        ? { case: "applied", value: appliedTo(outcome) }
        : { case: "refused", value: opRefusalTo(outcome) },
  };
}

function appliedTo(applied: OpApplied): WireApplied {
  return {
    $typeName: "everstep.v1.OpApplied",
    alreadyApplied: applied.already,
    lastSeq: BigInt(applied.lastSeq),
    results: applied.notes.map((note) => changeResultTo(note, applied.nowMs)),
  };
}

/** Instants go out as delays from the server's now: the worker's clock may be another one. */
export function delayTo(instantMs: number, nowMs: number): bigint {
  return BigInt(Math.max(0, instantMs - nowMs));
}

function changeResultTo(note: ResolvedNote, nowMs: number): ChangeResult {
  return { $typeName: "everstep.v1.ChangeResult", index: note.index, outcome: outcomeTo(note, nowMs) };
}

function outcomeTo(note: ResolvedNote, nowMs: number): ChangeResult["outcome"] {
  switch (note.kind) {
    case "retry": {
      const { nextAttempt, retryAtMs } = note;
      const delayMs = delayTo(retryAtMs, nowMs);
      return { case: "retry", value: { $typeName: "everstep.v1.RetryPlanned", nextAttempt, delayMs } };
    }
    case "exhausted":
      return { case: "exhausted", value: { $typeName: "everstep.v1.StepExhausted", attempt: note.attempt } };
    case "signal": {
      const payload = payloadTo(note.payload);
      return {
        case: "signal",
        value: { $typeName: "everstep.v1.ConsumedSignal", signalId: BigInt(note.signalSeq), payload },
      };
    }
    case "stored": {
      const output = payloadTo(note.output);
      // A stored "no value" is a payload without data: the field itself must be there.
      const none = { $typeName: "everstep.v1.Payload", data: { case: undefined }, encoding: "" } as const;
      return { case: "storedOutput", value: output ?? none };
    }
    case "timer":
      return {
        case: "timer",
        value: { $typeName: "everstep.v1.TimerPlanned", delayMs: delayTo(note.firesAtMs, nowMs) },
      };
  }
}

export function opRefusalTo(refusal: Refusal): OpRefusal {
  return {
    $typeName: "everstep.v1.OpRefusal",
    reason: ErrorReason[refusal.reason],
    message: refusal.message,
    retryable: isRetryable(refusal.reason),
    leaseLost: refusal.reason === "LEASE_LOST",
    retryAfterMs: BigInt(Math.ceil(refusal.retryAfterMs)),
    field: refusal.field,
  };
}
