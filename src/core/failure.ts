import type { Payload } from "./payload.ts";

/** Why an attempt, a step or a run failed: one record for all three and for all languages. */
export interface Failure {
  readonly type: string;
  readonly message: string;
  readonly stack?: string;
  readonly details?: Payload;
  readonly cause?: Failure;
  /** True when no retry can help. */
  readonly nonRetryable?: boolean;
  /** Earliest next attempt, counted from the failure; absent means the policy decides. */
  readonly retryAfterMs?: number;
}
