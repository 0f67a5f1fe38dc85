import { type DescMessage, create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { EngineError, type ErrorReason, type Refusal, refuse } from "../core/errors.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";

// A refusal on its way out of a call: the canonical code that error_reason.proto names, with the reason as a detail
// that programs can read.

export const errorDomain = "everstep.v1";

export const codeOfReason: Readonly<Record<ErrorReason, Code>> = {
  INVALID: Code.InvalidArgument,
  PAYLOAD_TOO_LARGE: Code.ResourceExhausted,
  RUN_NOT_FOUND: Code.NotFound,
  RUN_EXISTS: Code.AlreadyExists,
  RUN_KEY_TAKEN: Code.AlreadyExists,
  RUN_CLOSED: Code.FailedPrecondition,
  INVALID_STATE: Code.FailedPrecondition,
  LEASE_LOST: Code.FailedPrecondition,
  OP_CONFLICT: Code.Aborted,
  OP_OUT_OF_ORDER: Code.InvalidArgument,
  PRECEDING_FAILED: Code.Aborted,
  STEP_COMPLETED: Code.AlreadyExists,
  STEP_FAILED: Code.FailedPrecondition,
  STEP_KIND_MISMATCH: Code.FailedPrecondition,
  NOTICES_PENDING: Code.Aborted,
  NO_SIGNAL: Code.FailedPrecondition,
  WAIT_TIMED_OUT: Code.FailedPrecondition,
  TIMER_FIRED: Code.FailedPrecondition,
  RUN_PAUSED: Code.FailedPrecondition,
  HISTORY_LIMIT: Code.ResourceExhausted,
  BUSY: Code.ResourceExhausted,
  DISK_FULL: Code.ResourceExhausted,
  SHUTTING_DOWN: Code.Unavailable,
  UNAUTHENTICATED: Code.Unauthenticated,
  SESSION_UNKNOWN: Code.FailedPrecondition,
  PROTOCOL: Code.InvalidArgument,
  VERSION_UNSUPPORTED: Code.FailedPrecondition,
  INTERNAL: Code.Internal,
  CORRUPT_HISTORY: Code.DataLoss,
  BAD_PAGE_TOKEN: Code.InvalidArgument,
  REQUEST_CONFLICT: Code.Aborted,
};

/** The error of a call that was refused. */
export function connectErrorOf(refusal: Refusal): ConnectError {
  const { reason, message, field, retryAfterMs, runId } = refusal;
  const metadata: Record<string, string> = {};
  if (runId !== "") metadata.run_id = runId;
  const error = new ConnectError(message, codeOfReason[reason]);
  add(error, ErrorInfoSchema, { reason, domain: errorDomain, metadata });
  if (field !== "") {
    add(error, BadRequestSchema, { fieldViolations: [{ field, description: message, reason }] });
  }
  if (retryAfterMs > 0) {
    const seconds = BigInt(Math.floor(retryAfterMs / 1_000));
    add(error, RetryInfoSchema, { retryDelay: { seconds, nanos: (Math.ceil(retryAfterMs) % 1_000) * 1_000_000 } });
  }
  return error;
}

function add<D extends DescMessage>(error: ConnectError, desc: D, value: MessageInitShape<D>): void {
  error.details.push({ desc, value: create(desc, value) });
}

export function unauthenticated(message: string): ConnectError {
  return connectErrorOf(refuse("UNAUTHENTICATED", message));
}

/**
 * What a caller sees of anything that was thrown. `report` gets bugs of ours, with an id that the caller is told too,
 * and returns nothing; errors that say all there is to say are not reported.
 */
export function toConnectError(thrown: unknown, report: (thrown: unknown, id: string) => void): ConnectError {
  if (thrown instanceof ConnectError) return thrown;
  if (thrown instanceof EngineError && thrown.reason !== "INTERNAL") return connectErrorOf(thrown.refusal);
  if (thrown instanceof Error && (thrown.name === "AbortError" || thrown.name === "TimeoutError")) {
    return new ConnectError("the call was ended", Code.Canceled, undefined, undefined, thrown);
  }
  const id = Math.random().toString(36).slice(2, 10).padEnd(8, "0");
  report(thrown, id);
  const text = thrown instanceof EngineError ? thrown.refusal.message : "an error inside the server";
  return connectErrorOf(refuse("INTERNAL", `${text}; it is logged with id ${id}`));
}
