import type { RetryPolicy } from "../../core/event.ts";
import type { Failure } from "../../core/failure.ts";
import * as limits from "../../limits.ts";
import type { Failure as WireFailure } from "../../../gen/ts/everstep/v1/failure_pb.ts";
import { BackoffKind, type RetryPolicy as WireRetryPolicy } from "../../../gen/ts/everstep/v1/retry_policy_pb.ts";
import { checkCount, checkDuration, checkInt, checkText, invalid, nested } from "../validate.ts";
import { payloadFrom, payloadTo } from "./payload.ts";

/** Entries of a policy's lists: more would be a mistake, and the policy is stored with the attempt. */
const policyEntriesMax = 1_000;

export function failureFrom(field: string, wire: WireFailure | undefined, bytesMax: number): Failure {
  if (wire === undefined) throw invalid(field, "is missing");
  return nested(field, () => oneFailure(wire, bytesMax, 1));
}

function oneFailure(wire: WireFailure, bytesMax: number, depth: number): Failure {
  const retryAfterMs = checkDuration("retry_after_ms", wire.retryAfterMs);
  const details = payloadFrom("details", wire.details, bytesMax);
  const { cause } = wire;
  if (cause !== undefined && depth >= limits.failureCauseDepthMax) {
    throw invalid("cause", `is nested deeper than ${limits.failureCauseDepthMax} levels`);
  }
  return {
    type: checkText("type", wire.type, 0, limits.failureTypeBytesMax),
    message: checkText("message", wire.message, 0, limits.failureMessageBytesMax),
    ...(wire.stack !== "" && { stack: checkText("stack", wire.stack, 0, limits.failureStackBytesMax) }),
    ...(details !== undefined && { details }),
    ...(cause !== undefined && { cause: nested("cause", () => oneFailure(cause, bytesMax, depth + 1)) }),
    ...(wire.nonRetryable && { nonRetryable: true }),
    ...(retryAfterMs > 0 && { retryAfterMs }),
  };
}

export function failureTo(failure: Failure | undefined): WireFailure | undefined {
  if (failure === undefined) return undefined;
  return {
    $typeName: "everstep.v1.Failure",
    type: failure.type,
    message: failure.message,
    stack: failure.stack ?? "",
    details: payloadTo(failure.details),
    cause: failureTo(failure.cause),
    nonRetryable: failure.nonRetryable ?? false,
    retryAfterMs: BigInt(failure.retryAfterMs ?? 0),
  };
}

const backoffNames: Readonly<Record<number, RetryPolicy["backoff"]>> = {
  [BackoffKind.FIXED]: "fixed",
  [BackoffKind.LINEAR]: "linear",
  [BackoffKind.EXPONENTIAL]: "exponential",
  [BackoffKind.LISTED]: "listed",
};

export function retryPolicyFrom(field: string, wire: WireRetryPolicy | undefined): RetryPolicy | undefined {
  return wire === undefined ? undefined : nested(field, () => policy(wire));
}

function policy(wire: WireRetryPolicy): RetryPolicy {
  const backoff = backoffNames[wire.backoff];
  if (backoff === undefined && wire.backoff !== BackoffKind.UNSPECIFIED) {
    throw invalid("backoff", `is ${wire.backoff}, which is no BackoffKind`);
  }
  const { initialDelayMs, factor, maxDelayMs, jitter, maxAttempts, maxElapsedMs } = wire;
  checkCount("non_retryable_types", wire.nonRetryableTypes.length, 0, policyEntriesMax);
  checkCount("delays_ms", wire.delaysMs.length, backoff === "listed" ? 1 : 0, policyEntriesMax);
  return {
    ...(backoff !== undefined && { backoff }),
    ...(initialDelayMs !== undefined && { initialDelayMs: checkDuration("initial_delay_ms", initialDelayMs) }),
    ...(factor !== undefined && { factor: checkDouble("factor", factor, 1, 1_000) }),
    ...(maxDelayMs !== undefined && { maxDelayMs: checkDuration("max_delay_ms", maxDelayMs) }),
    ...(jitter !== undefined && { jitter: checkDouble("jitter", jitter, 0, 1) }),
    ...(maxAttempts !== undefined && { maxAttempts: checkInt("max_attempts", maxAttempts, 0, limits.countMax) }),
    ...(maxElapsedMs !== 0n && { maxElapsedMs: checkDuration("max_elapsed_ms", maxElapsedMs) }),
    ...(wire.nonRetryableTypes.length > 0 && {
      nonRetryableTypes: wire.nonRetryableTypes.map((type, index) =>
        checkText(`non_retryable_types[${index}]`, type, 1, limits.failureTypeBytesMax),
      ),
    }),
    ...(wire.delaysMs.length > 0 && {
      delaysMs: wire.delaysMs.map((delay, index) => checkDuration(`delays_ms[${index}]`, delay)),
    }),
  };
}

function checkDouble(field: string, value: number, min: number, max: number): number {
  if (value >= min && value <= max) return value;
  throw invalid(field, `is ${value}, the range is ${min} to ${max}`);
}
