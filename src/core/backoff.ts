import type { RetryPolicy } from "./event.ts";
import type { Failure } from "./failure.ts";

/** What holds where a policy says nothing. Three retries: most outages that a retry cures are over within seconds. */
export const defaultRetryPolicy = {
  backoff: "exponential",
  initialDelayMs: 1_000,
  factor: 2,
  maxDelayMs: 60_000,
  jitter: 0.1,
  maxAttempts: 4,
  maxElapsedMs: 0,
} as const;

/** A delay that no timer has to bear: about 317 years. */
const delayMsMax = 10_000_000_000_000;

/**
 * Delay before the next attempt in milliseconds, or undefined when the step has failed for good.
 * `random` in [0, 1) draws the jitter; the result is stored in the event, so that replay does not draw again.
 */
export function nextAttemptDelayMs(
  policy: RetryPolicy | undefined,
  attempt: number,
  failure: Failure,
  elapsedMs: number,
  random: number,
): number | undefined {
  const effective = { ...defaultRetryPolicy, ...withoutUndefined(policy) } as Required<RetryPolicy>;
  if (failure.nonRetryable === true) return undefined;
  if (policy?.nonRetryableTypes?.includes(failure.type) === true) return undefined;
  if (effective.maxAttempts > 0 && attempt >= effective.maxAttempts) return undefined;
  const capped = Math.min(growth(effective, attempt), effective.maxDelayMs, delayMsMax);
  const jittered = Math.max(0, Math.round(capped * (1 - effective.jitter * random)));
  const delayMs = Math.max(jittered, Math.min(failure.retryAfterMs ?? 0, delayMsMax));
  if (effective.maxElapsedMs > 0 && elapsedMs + delayMs > effective.maxElapsedMs) return undefined;
  return delayMs;
}

function growth(policy: Required<RetryPolicy>, attempt: number): number {
  switch (policy.backoff) {
    case "fixed":
      return policy.initialDelayMs;
    case "linear":
      return policy.initialDelayMs * attempt;
    case "listed": {
      const delays = policy.delaysMs;
      return delays[Math.min(attempt, delays.length) - 1] ?? policy.initialDelayMs;
    }
    default:
      return policy.initialDelayMs * policy.factor ** (attempt - 1);
  }
}

function withoutUndefined(policy: RetryPolicy | undefined): RetryPolicy {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(policy ?? {})) if (value !== undefined) kept[key] = value;
  return kept;
}

/** The first expiry puts the run back at once, later ones after 1 s x 2^n up to 60 s: a crash loop slows down. */
export function expiryBackoffMs(earlierExpiries: number): number {
  if (earlierExpiries === 0) return 0;
  return Math.min(1_000 * 2 ** (earlierExpiries - 1), 60_000);
}
