import type { RunEvent } from "../../core/event.ts";
import { type Event, EventType } from "../../../gen/ts/everstep/v1/event_pb.ts";
import { LeaseEndReason } from "../../../gen/ts/everstep/v1/lease_pb.ts";
import { PauseReason } from "../../../gen/ts/everstep/v1/run_pb.ts";
import { TimerKind } from "../../../gen/ts/everstep/v1/timer_pb.ts";
import { awaitTo } from "./await.ts";
import { failureTo } from "./failure.ts";
import { payloadTo } from "./payload.ts";

// Events for readers of a history. Ids of leases stay inside: a lease id is the right to write.

export function eventTo(event: RunEvent): Event {
  const wire: Event = {
    $typeName: "everstep.v1.Event",
    seq: BigInt(event.seq),
    type: EventType.UNSPECIFIED,
    atMs: BigInt(event.atMs),
    epoch: BigInt(event.epoch),
    opId: BigInt(event.opId),
    stepKey: event.stepKey,
    startedAtMs: BigInt(event.startedAtMs),
    payload: payloadTo(event.payload),
    failure: undefined,
    attempt: 0,
    dueAtMs: 0n,
    name: "",
    signalId: 0n,
    leaseEndReason: LeaseEndReason.UNSPECIFIED,
    pauseReason: PauseReason.UNSPECIFIED,
    reason: "",
    workerId: "",
    leaseTtlMs: 0n,
    awaits: [],
    failedSteps: [],
    timerKind: TimerKind.UNSPECIFIED,
  };
  fill(wire, event);
  return wire;
}

/** The type, and what only this type has. */
function fill(wire: Event, event: RunEvent): void {
  switch (event.type) {
    case "RunCreated":
      wire.type = EventType.RUN_CREATED;
      break;
    case "LeaseGranted":
      wire.type = EventType.LEASE_GRANTED;
      wire.workerId = event.detail.workerId;
      wire.leaseTtlMs = BigInt(event.detail.ttlMs);
      break;
    case "LeaseExtended":
      wire.type = EventType.LEASE_EXTENDED;
      wire.leaseTtlMs = BigInt(event.detail.ttlMs);
      break;
    case "LeaseEnded":
      wire.type = EventType.LEASE_ENDED;
      wire.leaseEndReason = LeaseEndReason[event.detail.reason];
      break;
    case "StepStarted":
      wire.type = EventType.STEP_STARTED;
      wire.attempt = event.detail.attempt;
      break;
    case "StepAttemptFailed":
      wire.type = EventType.STEP_ATTEMPT_FAILED;
      wire.attempt = event.detail.attempt;
      wire.failure = failureTo(event.detail.failure);
      wire.dueAtMs = BigInt(event.detail.retryAtMs);
      break;
    case "StepCompleted":
      wire.type = EventType.STEP_COMPLETED;
      wire.attempt = event.detail?.attempt ?? 1;
      break;
    case "StepFailed":
      wire.type = EventType.STEP_FAILED;
      wire.attempt = event.detail.attempt;
      wire.failure = failureTo(event.detail.failure);
      break;
    case "TimerSet":
      wire.type = EventType.TIMER_SET;
      wire.name = event.detail.signalName ?? "";
      wire.timerKind = wire.name === "" ? TimerKind.SLEEP : TimerKind.WAIT_TIMEOUT;
      wire.dueAtMs = BigInt(event.detail.firesAtMs);
      break;
    case "TimerFired":
      wire.type = EventType.TIMER_FIRED;
      break;
    case "TimerCancelled":
      wire.type = EventType.TIMER_CANCELLED;
      break;
    case "SignalReceived":
      wire.type = EventType.SIGNAL_RECEIVED;
      wire.name = event.detail.name;
      break;
    case "SignalConsumed":
      wire.type = EventType.SIGNAL_CONSUMED;
      wire.name = event.detail.name;
      wire.signalId = BigInt(event.detail.signalSeq);
      break;
    case "SignalReserved":
      wire.type = EventType.SIGNAL_RESERVED;
      wire.name = event.detail.name;
      wire.signalId = BigInt(event.detail.signalSeq);
      break;
    case "RunSuspended":
      wire.type = EventType.RUN_SUSPENDED;
      wire.awaits = event.detail.awaits.map(awaitTo);
      break;
    case "RetryDue":
      wire.type = EventType.RETRY_DUE;
      break;
    default:
      fillSteering(wire, event);
  }
}

type SteeringEvent = Extract<
  RunEvent,
  {
    type:
      | "CancelRequested"
      | "CancelDelivered"
      | "PauseRequested"
      | "RunPaused"
      | "RunResumed"
      | "RunCompleted"
      | "RunFailed"
      | "RunCancelled"
      | "RunTerminated"
      | "RunReopened";
  }
>;

function fillSteering(wire: Event, event: SteeringEvent): void {
  switch (event.type) {
    case "CancelRequested":
      wire.type = EventType.CANCEL_REQUESTED;
      wire.reason = event.detail.reason ?? "";
      wire.dueAtMs = BigInt(event.detail.deadlineAtMs);
      break;
    case "CancelDelivered":
      wire.type = EventType.CANCEL_DELIVERED;
      wire.dueAtMs = BigInt(event.detail.deadlineAtMs);
      break;
    case "PauseRequested":
      wire.type = EventType.PAUSE_REQUESTED;
      wire.reason = event.detail.reason ?? "";
      wire.dueAtMs = BigInt(event.detail.deadlineAtMs);
      break;
    case "RunPaused":
      wire.type = EventType.RUN_PAUSED;
      wire.pauseReason = PauseReason[event.detail.reason];
      wire.reason = event.detail.text ?? "";
      break;
    case "RunResumed":
      wire.type = EventType.RUN_RESUMED;
      break;
    case "RunCompleted":
      wire.type = EventType.RUN_COMPLETED;
      break;
    case "RunFailed":
      wire.type = EventType.RUN_FAILED;
      wire.failure = failureTo(event.detail.failure);
      wire.failedSteps = [...(event.detail.failedSteps ?? [])];
      break;
    case "RunCancelled":
      wire.type = EventType.RUN_CANCELLED;
      wire.reason = event.detail.reason ?? "";
      break;
    case "RunTerminated":
      wire.type = EventType.RUN_TERMINATED;
      wire.reason = event.detail.reason ?? "";
      break;
    case "RunReopened":
      wire.type = EventType.RUN_REOPENED;
      wire.reason = event.detail.reason ?? "";
      wire.failedSteps = [...event.detail.voidedSteps];
      break;
    default:
      event satisfies never;
  }
}
