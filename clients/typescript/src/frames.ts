// Frames and changes as plain literals: the wire library accepts them as they are, and building them this way costs a
// fraction of its create().
import type { Change, Op } from "../../../gen/ts/everstep/v1/change_pb.ts";
import type { Await } from "../../../gen/ts/everstep/v1/event_pb.ts";
import type { Failure } from "../../../gen/ts/everstep/v1/failure_pb.ts";
import type { Lease } from "../../../gen/ts/everstep/v1/lease_pb.ts";
import type { Payload } from "../../../gen/ts/everstep/v1/payload_pb.ts";
import type { RetryPolicy } from "../../../gen/ts/everstep/v1/retry_policy_pb.ts";
import type { BeatLease, Hello, WorkerFrame } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";

const change = (of: Change["change"]): Change => ({ $typeName: "everstep.v1.Change", change: of });

export function startStep(
  stepKey: string,
  attempt: number,
  options: {
    atMostOnce: boolean;
    timeoutMs: number;
    retryPolicy: RetryPolicy | undefined;
    input: Payload | undefined;
  },
): Change {
  const { atMostOnce, timeoutMs, retryPolicy, input } = options;
  const policy = retryPolicy === undefined ? {} : { retryPolicy };
  return change({
    case: "startStep",
    value: {
      $typeName: "everstep.v1.StepStart",
      stepKey,
      attempt,
      atMostOnce,
      timeoutMs: BigInt(timeoutMs),
      input,
      ...policy,
    },
  });
}

export function completeStep(stepKey: string, attempt: number, output: Payload | undefined, elapsedMs: number): Change {
  return change({
    case: "completeStep",
    value: { $typeName: "everstep.v1.StepCompletion", stepKey, output, attempt, elapsedMs: BigInt(elapsedMs) },
  });
}

export function failStep(
  stepKey: string,
  attempt: number,
  failure: Failure,
  retryPolicy: RetryPolicy | undefined,
  elapsedMs: number,
): Change {
  const policy = retryPolicy === undefined ? {} : { retryPolicy };
  return change({
    case: "failStep",
    value: { $typeName: "everstep.v1.StepFailure", stepKey, attempt, failure, elapsedMs: BigInt(elapsedMs), ...policy },
  });
}

export function setTimer(stepKey: string, delayMs: number, signalName: string): Change {
  return change({
    case: "setTimer",
    value: { $typeName: "everstep.v1.TimerSetting", stepKey, delayMs: BigInt(delayMs), signalName },
  });
}

export function consumeSignal(stepKey: string, name: string): Change {
  return change({ case: "consumeSignal", value: { $typeName: "everstep.v1.SignalConsumption", stepKey, name } });
}

export function suspendRun(awaits: Await[], noticesSeen: bigint): Change {
  return change({ case: "suspendRun", value: { $typeName: "everstep.v1.RunSuspension", awaits, noticesSeen } });
}

export function completeRun(output: Payload | undefined): Change {
  return change({ case: "completeRun", value: { $typeName: "everstep.v1.RunCompletion", output } });
}

export function failRun(failure: Failure, failedSteps: string[]): Change {
  return change({ case: "failRun", value: { $typeName: "everstep.v1.RunFailure", failure, failedSteps } });
}

export function cancelledRun(): Change {
  return change({ case: "cancelledRun", value: { $typeName: "everstep.v1.RunCancellation" } });
}

/** `stepKey` is that of the wait for a signal. */
export function awaiting(what: Await["what"], stepKey = ""): Await {
  return { $typeName: "everstep.v1.Await", what, stepKey };
}

const frame = (of: WorkerFrame["frame"]): WorkerFrame => ({ $typeName: "everstep.v1.WorkerFrame", frame: of });

/** Hello of protocol version 1. */
export function helloFrame(hello: Omit<Hello, "$typeName" | "$unknown" | "protocolVersion">): WorkerFrame {
  return frame({ case: "hello", value: { $typeName: "everstep.v1.Hello", protocolVersion: 1, ...hello } });
}

export function capacityFrame(capacity: number): WorkerFrame {
  return frame({ case: "capacity", value: { $typeName: "everstep.v1.Capacity", capacity } });
}

export function opsFrame(ops: Op[]): WorkerFrame {
  return frame({ case: "ops", value: { $typeName: "everstep.v1.Ops", ops } });
}

export function acceptFrame(leases: Lease[]): WorkerFrame {
  return frame({ case: "accept", value: { $typeName: "everstep.v1.Accept", leases } });
}

export function releaseFrame(leases: Lease[], retryAfterMs: number): WorkerFrame {
  return frame({
    case: "release",
    value: { $typeName: "everstep.v1.Release", leases, retryAfterMs: BigInt(retryAfterMs) },
  });
}

export function beatFrame(beatSeq: number, held: BeatLease[]): WorkerFrame {
  return frame({ case: "beat", value: { $typeName: "everstep.v1.Beat", beatSeq: BigInt(beatSeq), held } });
}

export const drainFrame = (): WorkerFrame => frame({ case: "drain", value: { $typeName: "everstep.v1.Drain" } });
export const goodbyeFrame = (): WorkerFrame => frame({ case: "goodbye", value: { $typeName: "everstep.v1.Goodbye" } });
export const pongFrame = (nonce: bigint): WorkerFrame =>
  frame({ case: "pong", value: { $typeName: "everstep.v1.Pong", nonce } });
