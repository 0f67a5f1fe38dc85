import { expect, test } from "vitest";
import { expiryBackoffMs, nextAttemptDelayMs } from "../../src/core/backoff.ts";

const failure = { type: "Error", message: "m" };
const delays = (policy: Parameters<typeof nextAttemptDelayMs>[0], attempts: number, random = 0) =>
  Array.from({ length: attempts }, (_, i) => nextAttemptDelayMs(policy, i + 1, failure, 0, random));

test("the default is three retries, exponential from a second", () => {
  expect(delays(undefined, 4)).toEqual([1_000, 2_000, 4_000, undefined]);
});
test("linear, fixed and listed delays", () => {
  expect(delays({ backoff: "linear", initialDelayMs: 10, maxAttempts: 0 }, 3)).toEqual([10, 20, 30]);
  expect(delays({ backoff: "fixed", initialDelayMs: 10, maxAttempts: 3 }, 3)).toEqual([10, 10, undefined]);
  expect(delays({ backoff: "listed", delaysMs: [5, 7], maxAttempts: 0 }, 3)).toEqual([5, 7, 7]);
});
test("a cap bounds growth, jitter only shortens", () => {
  expect(delays({ maxDelayMs: 1_500, maxAttempts: 0 }, 3)).toEqual([1_000, 1_500, 1_500]);
  expect(nextAttemptDelayMs({ jitter: 0.5 }, 1, failure, 0, 0.999)).toBe(500);
});
test("named types, the flag and elapsed time end the attempts", () => {
  expect(nextAttemptDelayMs({ nonRetryableTypes: ["Error"] }, 1, failure, 0, 0)).toBeUndefined();
  expect(nextAttemptDelayMs(undefined, 1, { ...failure, nonRetryable: true }, 0, 0)).toBeUndefined();
  expect(nextAttemptDelayMs({ maxElapsedMs: 5_000 }, 1, failure, 4_500, 0)).toBeUndefined();
});
test("the failure may ask for more time", () => {
  expect(nextAttemptDelayMs(undefined, 1, { ...failure, retryAfterMs: 9_000 }, 0, 0)).toBe(9_000);
});
test("the first expiry costs nothing, later ones double up to a minute", () => {
  expect([0, 1, 2, 10].map(expiryBackoffMs)).toEqual([0, 1_000, 2_000, 60_000]);
});
