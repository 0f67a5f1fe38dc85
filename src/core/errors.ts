/** The closed list of reasons for which a command is refused: the names of proto ErrorReason. */
export const errorReasons = [
  "INVALID",
  "PAYLOAD_TOO_LARGE",
  "RUN_NOT_FOUND",
  "RUN_EXISTS",
  "RUN_KEY_TAKEN",
  "RUN_CLOSED",
  "INVALID_STATE",
  "LEASE_LOST",
  "OP_CONFLICT",
  "OP_OUT_OF_ORDER",
  "PRECEDING_FAILED",
  "STEP_COMPLETED",
  "STEP_FAILED",
  "STEP_KIND_MISMATCH",
  "NOTICES_PENDING",
  "NO_SIGNAL",
  "WAIT_TIMED_OUT",
  "TIMER_FIRED",
  "RUN_PAUSED",
  "HISTORY_LIMIT",
  "BUSY",
  "DISK_FULL",
  "SHUTTING_DOWN",
  "UNAUTHENTICATED",
  "SESSION_UNKNOWN",
  "PROTOCOL",
  "VERSION_UNSUPPORTED",
  "INTERNAL",
  "CORRUPT_HISTORY",
  "BAD_PAGE_TOKEN",
  "REQUEST_CONFLICT",
] as const;
export type ErrorReason = (typeof errorReasons)[number];

/** A refusal is a value: nothing was changed. */
export interface Refusal {
  readonly kind: "refused";
  readonly reason: ErrorReason;
  /** One sentence for a person, with the field and the limit. */
  readonly message: string;
  /** The field that is wrong; empty when none. */
  readonly field: string;
  /** Wait this long before trying again; 0 when there is no advice. */
  readonly retryAfterMs: number;
  /** The run that is in the way; empty when none. */
  readonly runId: string;
}

export function refuse(
  reason: ErrorReason,
  message: string,
  more?: { field?: string; retryAfterMs?: number; runId?: string },
): Refusal {
  return {
    kind: "refused",
    reason,
    message,
    field: more?.field ?? "",
    retryAfterMs: more?.retryAfterMs ?? 0,
    runId: more?.runId ?? "",
  };
}

/** What everybody is told once the server goes. */
export function shuttingDown(): Refusal {
  return refuse("SHUTTING_DOWN", "the server is stopping", { retryAfterMs: 1_000 });
}

const retryableReasons: ReadonlySet<ErrorReason> = new Set([
  "BUSY",
  "DISK_FULL",
  "SHUTTING_DOWN",
  "NOTICES_PENDING",
  "PRECEDING_FAILED",
  "INTERNAL",
  "RUN_PAUSED",
]);

/** True when the same command may succeed later. */
export function isRetryable(reason: ErrorReason): boolean {
  return retryableReasons.has(reason);
}

/** A refusal on its way to a caller that awaits a promise. */
export class EngineError extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(`${refusal.reason}: ${refusal.message}`);
    this.name = "EngineError";
    this.refusal = refusal;
  }
  get reason(): ErrorReason {
    return this.refusal.reason;
  }
}
