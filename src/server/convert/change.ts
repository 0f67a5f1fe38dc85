import type { Change } from "../../core/command.ts";
import { awaitsMax } from "../../limits.ts";
import type {
  Change as WireChange,
  RunFailure,
  RunSuspension,
  SignalConsumption,
  StepCompletion,
  StepFailure,
  StepStart,
  TimerSetting,
} from "../../../gen/ts/everstep/v1/change_pb.ts";
import {
  checkAttempt,
  checkCount,
  checkDuration,
  checkName,
  checkOptionalName,
  checkSeq,
  checkStepKey,
  invalid,
} from "../validate.ts";
import { awaitsFrom } from "./await.ts";
import { failureFrom, retryPolicyFrom } from "./failure.ts";
import { payloadFrom } from "./payload.ts";

// Changes as workers send them. The unary requests of LeaseService have the same fields, so each kind has a function
// of its own that takes either message.

/** The fields of a change, without what makes it a message of its own. */
type Fields<T> = Omit<T, "$typeName" | "$unknown">;

export function changeFrom({ change }: WireChange, bytesMax: number): Change {
  switch (change.case) {
    case "startStep":
      return startStep(change.value, bytesMax);
    case "completeStep":
      return completeStep(change.value, bytesMax);
    case "failStep":
      return failStep(change.value, bytesMax);
    case "setTimer":
      return setTimer(change.value);
    case "cancelTimer":
      return cancelTimer(change.value);
    case "consumeSignal":
      return consumeSignal(change.value);
    case "suspendRun":
      return suspendRun(change.value);
    case "completeRun":
      return { type: "CompleteRun", output: payloadFrom("output", change.value.output, bytesMax) };
    case "failRun":
      return failRun(change.value, bytesMax);
    case "cancelledRun":
      return { type: "CancelledRun" };
    default:
      throw invalid("change", "is not set, or of a kind that is unknown here");
  }
}

export function startStep(wire: Fields<StepStart>, bytesMax: number): Change {
  return {
    type: "StartStep",
    stepKey: checkStepKey(wire.stepKey),
    attempt: checkAttempt(wire.attempt),
    atMostOnce: wire.atMostOnce,
    timeoutMs: checkDuration("timeout_ms", wire.timeoutMs),
    input: payloadFrom("input", wire.input, bytesMax),
    retryPolicy: retryPolicyFrom("retry_policy", wire.retryPolicy),
  };
}

export function completeStep(wire: Fields<StepCompletion>, bytesMax: number): Change {
  return {
    type: "CompleteStep",
    stepKey: checkStepKey(wire.stepKey),
    attempt: checkAttempt(wire.attempt),
    output: payloadFrom("output", wire.output, bytesMax),
    elapsedMs: checkDuration("elapsed_ms", wire.elapsedMs),
  };
}

export function failStep(wire: Fields<StepFailure>, bytesMax: number): Change {
  return {
    type: "FailStep",
    stepKey: checkStepKey(wire.stepKey),
    attempt: checkAttempt(wire.attempt),
    failure: failureFrom("failure", wire.failure, bytesMax),
    retryPolicy: retryPolicyFrom("retry_policy", wire.retryPolicy),
    elapsedMs: checkDuration("elapsed_ms", wire.elapsedMs),
  };
}

export function setTimer(wire: Fields<TimerSetting>): Change {
  return {
    type: "SetTimer",
    stepKey: checkStepKey(wire.stepKey),
    delayMs: checkDuration("delay_ms", wire.delayMs),
    signalName: checkOptionalName("signal_name", wire.signalName),
  };
}

export function cancelTimer(wire: { readonly stepKey: string }): Change {
  return { type: "CancelTimer", stepKey: checkStepKey(wire.stepKey) };
}

export function consumeSignal(wire: Fields<SignalConsumption>): Change {
  return { type: "ConsumeSignal", stepKey: checkStepKey(wire.stepKey), name: checkName("name", wire.name) };
}

export function suspendRun(wire: Fields<RunSuspension>): Change {
  return {
    type: "SuspendRun",
    awaits: awaitsFrom(wire.awaits),
    noticesSeen: checkSeq("notices_seen", wire.noticesSeen),
  };
}

export function failRun(wire: Fields<RunFailure>, bytesMax: number): Change {
  checkCount("failed_steps", wire.failedSteps.length, 0, awaitsMax);
  return {
    type: "FailRun",
    failure: failureFrom("failure", wire.failure, bytesMax),
    failedSteps: wire.failedSteps.map((key, index) => checkStepKey(key, `failed_steps[${index}]`)),
  };
}
