// The record in which a failure travels and is stored. It is the same for steps and runs and for all languages; here an
// error's class name is its `type`, and `cause` chains are kept both ways.
import type { Failure } from "../../../gen/ts/everstep/v1/failure_pb.ts";
import {
  AmbiguousStepKeyError,
  CancelledError,
  EverstepError,
  type FailureInfo,
  HistoryLimitError,
  NonDeterminismError,
  NonRetryableError,
  PayloadCodecError,
  PayloadTooLargeError,
  RemoteError,
  RetryAfterError,
  StepFailedError,
  StepTimeoutError,
} from "./errors.ts";
import {
  delayMsMax,
  failureDepthMax,
  failureMessageBytesMax,
  failureStackBytesMax,
  failureTypeBytesMax,
} from "./limits.ts";

export function toFailure(error: unknown, depth = 1): Failure {
  const known = error instanceof Error ? error : undefined;
  const details = jsonOrUndefined(() => (error as { details?: unknown } | undefined)?.details);
  const cause = readable(() => known?.cause ?? (known instanceof AggregateError ? known.errors[0] : undefined));
  return {
    $typeName: "everstep.v1.Failure",
    type: clipped(() => typeOf(error), failureTypeBytesMax),
    message: clipped(() => known?.message ?? error, failureMessageBytesMax),
    stack: clipped(() => known?.stack ?? "", failureStackBytesMax),
    ...(details === undefined
      ? {}
      : { details: { $typeName: "everstep.v1.Payload", data: { case: "json", value: details }, encoding: "" } }),
    ...(cause === undefined || depth >= failureDepthMax ? {} : { cause: toFailure(cause, depth + 1) }),
    nonRetryable: isNonRetryable(error),
    retryAfterMs: BigInt(Math.ceil(retryAfterOf(error))),
  };
}

/** About what it takes in a frame, with its causes. */
export function failureBytes(failure: Failure): number {
  let bytes = 0;
  for (let at: Failure | undefined = failure; at !== undefined; at = at.cause) {
    const data = at.details?.data;
    bytes += at.message.length + at.stack.length + (data?.case === undefined ? 0 : data.value.length);
  }
  return bytes;
}

/** The named kinds that no retry helps, and whatever says so of itself. */
function isNonRetryable(error: unknown): boolean {
  if (error instanceof NonRetryableError || error instanceof PayloadTooLargeError || error instanceof PayloadCodecError)
    return true;
  return readable(() => (error as { nonRetryable?: unknown } | undefined)?.nonRetryable) === true;
}

function retryAfterOf(error: unknown): number {
  const wanted = error instanceof RetryAfterError ? error.retryAfterMs : 0;
  return Number.isFinite(wanted) && wanted > 0 ? Math.min(wanted, delayMsMax) : 0;
}

/** Names that are part of the contract between languages differ from the class names here. */
function typeOf(error: unknown): unknown {
  if (error instanceof NonRetryableError || error instanceof RemoteError) return error.type;
  if (error instanceof StepTimeoutError) return "StepTimeout";
  if (error instanceof PayloadTooLargeError) return "PayloadTooLarge";
  if (error instanceof HistoryLimitError) return "HistoryLimit";
  if (error instanceof NonDeterminismError) return "NonDeterminism";
  if (error instanceof AmbiguousStepKeyError) return "AmbiguousStepKey";
  if (error instanceof StepFailedError) return "StepFailed";
  if (error instanceof EverstepError) return error.name;
  if (!(error instanceof Error)) return "Error";
  return error.name !== "Error" ? error.name : (error.constructor?.name ?? "Error");
}

/** Whatever was thrown, or put in the place of an error's text, is told somehow. */
function asText(read: () => unknown): string {
  try {
    const value = read();
    return typeof value === "string" ? value : (jsonOrUndefined(() => value) ?? String(value));
  } catch {
    return ""; // a getter that throws, or nothing that a text can be made of
  }
}

/** Cut, where it is longer, between two characters. */
function clipped(read: () => unknown, bytesMax: number): string {
  const text = asText(read);
  if (text.length * 3 <= bytesMax) return text; // a UTF-16 unit takes three bytes at most
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (((bytes[end] as number) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}

export function toFailureInfo(failure: Failure | undefined): FailureInfo {
  if (failure === undefined) return { type: "Unknown", message: "", stack: "", nonRetryable: false, retryAfterMs: 0 };
  const details = parseDetails(failure);
  return {
    type: failure.type,
    message: failure.message,
    stack: failure.stack,
    ...(details === undefined ? {} : { details }),
    ...(failure.cause === undefined ? {} : { cause: toFailureInfo(failure.cause) }),
    nonRetryable: failure.nonRetryable,
    retryAfterMs: Number(failure.retryAfterMs),
  };
}

/** The error that a stored failure stands for. First run and replay both throw this one, never the original object. */
export function toError(failure: FailureInfo): RemoteError {
  const cause = failure.cause === undefined ? undefined : { cause: toError(failure.cause) };
  const error = new RemoteError(failure.type, failure.message, failure.details, cause);
  if (failure.stack !== "") error.stack = failure.stack;
  return error;
}

export function stepFailed(stepKey: string, attempts: number, failure: Failure | undefined): StepFailedError {
  const info = toFailureInfo(failure);
  return new StepFailedError(stepKey, attempts, info, { cause: toError(info) });
}

/** Every error that `error` carries: itself, its causes, and the members of aggregates. */
function* carriedBy(error: unknown, seen = new Set<unknown>()): Generator<unknown> {
  if (error === null || typeof error !== "object" || seen.has(error)) return;
  seen.add(error);
  yield error;
  yield* carriedBy(
    readable(() => (error as { cause?: unknown }).cause),
    seen,
  );
  if (error instanceof AggregateError) for (const member of error.errors) yield* carriedBy(member, seen);
}

/** Keys of the steps whose failures an error carries; RetryRun voids exactly these. */
export function failedSteps(error: unknown): string[] {
  const keys = new Set<string>();
  for (const carried of carriedBy(error)) if (carried instanceof StepFailedError) keys.add(carried.stepKey);
  return [...keys];
}

/** Whether a workflow that throws this ends because of its cancel. */
export function carriesCancel(error: unknown): boolean {
  for (const carried of carriedBy(error)) if (carried instanceof CancelledError) return true;
  return false;
}

function parseDetails(failure: Failure): unknown {
  const data = failure.details?.data;
  if (data === undefined || data.case === undefined) return undefined;
  if (data.case === "bytes") return data.value;
  try {
    return JSON.parse(data.value);
  } catch {
    return data.value; // kept as text: an unreadable detail must not hide the failure itself
  }
}

function jsonOrUndefined(read: () => unknown): string | undefined {
  try {
    const json = JSON.stringify(read());
    return json !== undefined && json.length <= failureMessageBytesMax ? json : undefined;
  } catch {
    return undefined; // cyclic or with bigints: the message still says what happened
  }
}

/** Undefined when a getter throws. */
function readable(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}
