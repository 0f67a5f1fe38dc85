import type { OpRefusal } from "../../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import { enumName } from "./enum-name.ts";
import { HistoryLimitError, NonDeterminismError, OpRefusedError, PayloadTooLargeError } from "./errors.ts";
import type { LeaseRun } from "./lease-run.ts";
import type { Settle } from "./waits.ts";

/**
 * A durable call was refused for good. What only the code or the limits of the run explain ends the run; the rest goes
 * to the caller.
 */
export function refuseCall(run: LeaseRun, refusal: OpRefusal, settle: Settle<never>, key: string, asked: string): void {
  switch (refusal.reason) {
    case ErrorReason.RUN_PAUSED:
      return run.giveBack();
    case ErrorReason.HISTORY_LIMIT:
      return run.fail(new HistoryLimitError(refusal.message));
    case ErrorReason.STEP_KIND_MISMATCH:
      return run.fail(new NonDeterminismError(key, asked, "something else"));
    case ErrorReason.PAYLOAD_TOO_LARGE:
      return settle.reject(new PayloadTooLargeError(refusal.message));
    default:
      return settle.reject(new OpRefusedError(enumName(ErrorReason, refusal.reason), refusal.message, refusal.field));
  }
}
