import {
  EverstepError,
  NonRetryableError,
  RemoteError,
  RetryAfterError,
} from "../../../clients/typescript/src/index.ts";
import { RunFailedError, StepFailedError } from "../../../clients/typescript/src/index.ts";
import type { FailureInfo } from "../../../clients/typescript/src/index.ts";

export interface Fail {
  readonly type: string;
  readonly message: string;
  readonly nonRetryable?: boolean;
  readonly retryAfterMs?: number;
  readonly details?: unknown;
  readonly cause?: Fail;
}

/** The error that the SDK stores with exactly this type, message, details and cause. */
export function toError({ type, message, nonRetryable, retryAfterMs, details, cause }: Fail): Error {
  const inner = cause === undefined ? undefined : toError(cause);
  const options = inner === undefined ? {} : { cause: inner };
  if (retryAfterMs !== undefined) return new RetryAfterError(message, retryAfterMs, options);
  if (nonRetryable) return new NonRetryableError(message, { type, details, ...options });
  const error = new Error(message, options);
  error.name = type;
  return details === undefined ? error : Object.assign(error, { details });
}

/** How the driver tells of an error. */
export function errorOf(error: unknown): object {
  if (error instanceof StepFailedError) {
    const { reason, stepKey, attempts, failure } = error;
    return { reason, stepKey, attempts, cause: stored(failure) };
  }
  if (error instanceof RunFailedError) return { reason: error.reason, cause: stored(error.failure) };
  if (error instanceof EverstepError && !(error instanceof RemoteError) && !(error instanceof NonRetryableError)) {
    return { reason: error.reason, message: error.message };
  }
  const { name, message, cause, details } = error as Error & { details?: unknown };
  const type = error instanceof NonRetryableError ? error.type : name;
  return {
    type,
    message,
    ...(details === undefined ? {} : { details }),
    ...(cause === undefined ? {} : { cause: errorOf(cause) }),
  };
}

function stored({ type, message, details, cause }: FailureInfo): object {
  return {
    type,
    message,
    ...(details === undefined ? {} : { details }),
    ...(cause === undefined ? {} : { cause: stored(cause) }),
  };
}
