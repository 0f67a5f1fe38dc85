// Unary calls: tries again while the server cannot be reached, and turns what it refuses into EverstepError.
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../gen/ts/google/rpc/error_details_pb.ts";
import { callBackoff, fullJitterMs } from "./backoff.ts";
import { pause } from "./pause.ts";
import { EverstepError } from "./errors.ts";
import { callAttemptsMax } from "./limits.ts";
import type { Clock } from "./ports.ts";

/** The server refused a call; `reason` is its ErrorReason, for example "RUN_NOT_FOUND". */
export class CallRefusedError extends EverstepError {
  /** Facts beside the reason, for example the `run_id` that holds a run key. */
  readonly metadata: Readonly<Record<string, string>>;
  constructor(reason: string, message: string, metadata: Readonly<Record<string, string>>, options?: ErrorOptions) {
    super(reason, message, options);
    this.metadata = metadata;
  }
}

/** Every call of the client is idempotent, so every call may be repeated. */
export async function callWithRetry<T>(
  clock: Clock,
  random: () => number,
  signal: AbortSignal | undefined,
  call: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (attempt >= callAttemptsMax || !mayRepeat(error)) throw toEverstepError(error);
      await pause(clock, fullJitterMs(attempt, callBackoff, random) + callBackoff.baseMs, signal);
    }
  }
}

/**
 * Whether the same call may succeed a moment later. A call whose connection is gone ends as CANCELED, too: callers look at
 * their own signal first.
 */
export function mayRepeat(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  if (error.code === Code.Canceled) return true;
  if (error.code === Code.Unavailable || error.code === Code.Aborted)
    return reasonOf(error)?.reason !== "REQUEST_CONFLICT";
  return error.code === Code.ResourceExhausted && reasonOf(error)?.reason === "BUSY";
}

export function toEverstepError(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const info = reasonOf(error);
  return new CallRefusedError(info?.reason ?? codeName(error.code), error.rawMessage, info?.metadata ?? {}, {
    cause: error,
  });
}

function reasonOf(error: ConnectError): { reason: string; metadata: Record<string, string> } | undefined {
  return error.findDetails(ErrorInfoSchema)[0];
}

/** For errors that do not come from the server itself: "UNAVAILABLE", "DEADLINE_EXCEEDED". */
function codeName(code: Code): string {
  return (Code[code] ?? "Unknown").replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
