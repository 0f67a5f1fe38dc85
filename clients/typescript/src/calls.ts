// Unary calls: tries again while the server cannot be reached, and turns what it refuses into EverstepError.
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../gen/ts/google/rpc/error_details_pb.ts";
import { callBackoff, fullJitterMs } from "./backoff.ts";
import { pause } from "./pause.ts";
import { EverstepError } from "./errors.ts";
import { callPatienceMs } from "./limits.ts";
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

/** What the calls of one client share. */
export interface CallPorts {
  readonly clock: Clock;
  readonly random: () => number;
  /** True once the client was closed: nothing is repeated any more. */
  closed(): boolean;
}

/** Every call of the client is idempotent, so every call may be repeated. */
export async function callWithRetry<T>(ports: CallPorts, call: () => Promise<T>): Promise<T> {
  let endAtMs: number | undefined;
  for (let failures = 1; ; failures += 1) {
    try {
      return await call();
    } catch (error) {
      const nowMs = ports.clock.nowMs();
      endAtMs ??= nowMs + callPatienceMs;
      if (nowMs >= endAtMs || !mayRepeat(error)) throw toEverstepError(error);
      await pauseBeforeRepeat(ports, error, failures);
    }
  }
}

/** Throws the error that was to be repeated when the client is closed meanwhile. */
export async function pauseBeforeRepeat(
  { clock, random, closed }: CallPorts,
  error: unknown,
  failures: number,
  signal?: AbortSignal,
  leftMs = Number.POSITIVE_INFINITY,
): Promise<void> {
  const delayMs = fullJitterMs(failures, callBackoff, random) + callBackoff.baseMs;
  if (!closed()) await pause(clock, Math.min(delayMs, leftMs), signal);
  if (closed()) throw toEverstepError(error);
}

/**
 * Whether the same call may succeed a moment later. A call whose connection is gone ends as CANCELED, too: callers look at
 * their own signal first.
 */
export function mayRepeat(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  if (error.code === Code.Canceled || isOfConnection(error)) return true;
  if (error.code === Code.Unavailable || error.code === Code.Aborted)
    return reasonOf(error)?.reason !== "REQUEST_CONFLICT";
  return error.code === Code.ResourceExhausted && reasonOf(error)?.reason === "BUSY";
}

/**
 * Says something about the connection and nothing about the call: what the server itself says has a reason. One that was
 * told to go away refuses the calls that crossed with the word, and one that broke within an answer leaves a part of it:
 * Connect calls these INTERNAL and INVALID_ARGUMENT.
 */
function isOfConnection(error: ConnectError): boolean {
  return (error.code === Code.Internal || error.code === Code.InvalidArgument) && reasonOf(error) === undefined;
}

export function toEverstepError(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const info = reasonOf(error);
  return new CallRefusedError(info?.reason ?? codeName(error.code), error.rawMessage, info?.metadata ?? {}, {
    cause: error,
  });
}

export function reasonOf(error: ConnectError): { reason: string; metadata: Record<string, string> } | undefined {
  return error.findDetails(ErrorInfoSchema)[0];
}

/** For errors that do not come from the server itself: "UNAVAILABLE", "DEADLINE_EXCEEDED". */
function codeName(code: Code): string {
  return (Code[code] ?? "Unknown").replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
