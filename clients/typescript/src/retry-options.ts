import { BackoffKind, type RetryPolicy } from "../../../gen/ts/everstep/v1/retry_policy_pb.ts";

/** When a failed step is tried again. The server decides with the policy that came with the failure. */
export interface RetryOptions {
  /** Attempts in all, the first included. Default 4; 0 means without limit. */
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
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    maxElapsedMs: integer(maxElapsedMs ?? 0),
    nonRetryableTypes: [...(nonRetryableTypes ?? [])],
    delaysMs: (delaysMs ?? []).map(integer),
  };
}
