import { BackoffKind, type RetryPolicy } from "../../../gen/ts/everstep/v1/retry_policy_pb.ts";
import { delayRange, isDelay } from "./delay.ts";
import { InvalidArgumentError } from "./errors.ts";
import { attemptsMax, factorMax, failureTypeBytesMax, retryEntriesMax } from "./limits.ts";

/** When a failed step is tried again. The server decides with the policy that came with the failure. */
export interface RetryOptions {
  /** Attempts in all, the first included. Default 4; 0 means without limit, and so does Infinity. */
  readonly maxAttempts?: number;
  /** Default "exponential". */
  readonly backoff?: "fixed" | "linear" | "exponential";
  /** After the first failed attempt; default 1000. */
  readonly initialDelayMs?: number;
  /** Growth of the exponential back-off; default 2. */
  readonly factor?: number;
  /** No delay is longer; default 60000. */
  readonly maxDelayMs?: number;
  /** Delays in turn, the last one repeats; takes the place of `backoff`. */
  readonly delaysMs?: readonly number[];
  /** Share of the delay that is random, 0 to 1. */
  readonly jitter?: number;
  /** No attempt starts later than this after the first one; default: no limit. */
  readonly maxElapsedMs?: number;
  /** Failure types that are never retried: class names of errors, or `type` of NonRetryableError. */
  readonly nonRetryableTypes?: readonly string[];
}

const backoffKinds = {
  fixed: BackoffKind.FIXED,
  linear: BackoffKind.LINEAR,
  exponential: BackoffKind.EXPONENTIAL,
} as const;

const kinds = Object.keys(backoffKinds);
const attemptsRange = `a whole number from 0, which is without limit, to ${attemptsMax}`;
const delaysRange = `1 to ${retryEntriesMax} of ${delayRange}`;
const namesRange = `at most ${retryEntriesMax} names of 1 to ${failureTypeBytesMax} bytes`;

/** Throws InvalidArgumentError for what the server would refuse, before the step has begun. */
export function checkRetryOptions(options: RetryOptions): void {
  const { maxAttempts, backoff, initialDelayMs, maxDelayMs, maxElapsedMs, delaysMs, factor, jitter } = options;
  check("maxAttempts", maxAttempts, attemptsRange, isAttempts);
  check("backoff", backoff, kinds.join(", "), (kind) => kinds.includes(kind));
  check("initialDelayMs", initialDelayMs, delayRange, isDelay);
  check("maxDelayMs", maxDelayMs, delayRange, isDelay);
  check("maxElapsedMs", maxElapsedMs, delayRange, isDelay);
  check("factor", factor, `a number from 1 to ${factorMax}`, (value) => within(value, 1, factorMax));
  check("jitter", jitter, "a number from 0 to 1", (value) => within(value, 0, 1));
  check("delaysMs", delaysMs, delaysRange, (list) => isList(list, 1) && list.every(isDelay));
  check("nonRetryableTypes", options.nonRetryableTypes, namesRange, (list) => isList(list, 0) && list.every(isName));
}

const shownLengthMax = 100;

function check<T>(option: string, value: T | undefined, range: string, isRight: (value: T) => boolean): void {
  if (value === undefined || isRight(value)) return;
  throw new InvalidArgumentError(`retry.${option} is ${range}, not ${String(value).slice(0, shownLengthMax)}`);
}
function within(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && value >= min && value <= max;
}
function isAttempts(value: unknown): boolean {
  return value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && within(value, 0, attemptsMax));
}
function isList(value: unknown, min: number): boolean {
  return Array.isArray(value) && value.length >= min && value.length <= retryEntriesMax;
}
function isName(value: unknown): boolean {
  return typeof value === "string" && value !== "" && Buffer.byteLength(value) <= failureTypeBytesMax;
}

const integer = (value: number): bigint => BigInt(Math.max(0, Math.ceil(value)));

/** Undefined means the server's default. A step that may run at most once is not repeated unless the code asks for it. */
export function toRetryPolicy(options: RetryOptions | undefined, atMostOnce: boolean): RetryPolicy | undefined {
  if (options === undefined && !atMostOnce) return undefined;
  const {
    initialDelayMs,
    maxDelayMs,
    factor,
    jitter,
    maxAttempts,
    maxElapsedMs,
    nonRetryableTypes,
    delaysMs,
    backoff,
  } = options ?? {
    maxAttempts: 1,
  };
  return {
    $typeName: "everstep.v1.RetryPolicy",
    backoff:
      delaysMs !== undefined
        ? BackoffKind.LISTED
        : backoff === undefined
          ? BackoffKind.UNSPECIFIED
          : backoffKinds[backoff],
    ...(initialDelayMs === undefined ? {} : { initialDelayMs: integer(initialDelayMs) }),
    ...(factor === undefined ? {} : { factor }),
    ...(maxDelayMs === undefined ? {} : { maxDelayMs: integer(maxDelayMs) }),
    ...(jitter === undefined ? {} : { jitter }),
    ...(maxAttempts === undefined ? {} : { maxAttempts: maxAttempts === Number.POSITIVE_INFINITY ? 0 : maxAttempts }),
    maxElapsedMs: integer(maxElapsedMs ?? 0),
    nonRetryableTypes: [...(nonRetryableTypes ?? [])],
    delaysMs: (delaysMs ?? []).map(integer),
  };
}
