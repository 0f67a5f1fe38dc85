import { EngineError, type ErrorReason, type Refusal } from "../../core/errors.ts";

// Refusals as the seed's clients read them: a status and {"error": text}. The only file that knows the statuses.

const statusOfReason: Partial<Record<ErrorReason, number>> = {
  INVALID: 400,
  UNAUTHENTICATED: 401,
  RUN_NOT_FOUND: 404,
  PAYLOAD_TOO_LARGE: 413,
  HISTORY_LIMIT: 409,
  BUSY: 503,
  DISK_FULL: 503,
  SHUTTING_DOWN: 503,
  INTERNAL: 500,
  CORRUPT_HISTORY: 500,
};

/** What contradicts the state of the workflow is a conflict. */
export function statusOf(refusal: Refusal): number {
  return statusOfReason[refusal.reason] ?? 409;
}

/** The seed's own words where its clients know them. */
export function textOf(refusal: Refusal): string {
  return refusal.reason === "STEP_COMPLETED" ? "step already completed" : refusal.message;
}

/** The refusal behind what was thrown; undefined for a bug. */
export function refusalOf(thrown: unknown): Refusal | undefined {
  return thrown instanceof EngineError ? thrown.refusal : undefined;
}
