// Calls that wait for a run (result, watch) go on over an outage of the server, however long: only their caller ends them.
import { Code, ConnectError } from "@connectrpc/connect";
import { type CallPorts, mayRepeat, pauseBeforeRepeat, reasonOf, toEverstepError } from "./calls.ts";

export class Outage {
  readonly #ports: CallPorts;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;

  constructor(ports: CallPorts, signal: AbortSignal | undefined) {
    this.#ports = ports;
    this.#signal = signal;
  }

  /** The server has answered: it is over. */
  ended(): void {
    this.#failures = 0;
  }

  /** Pauses before the next try, at most for `leftMs`; throws what is no outage, and the reason of the caller's signal. */
  async outlast(error: unknown, leftMs = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.#signal?.aborted) throw this.#signal.reason;
    if (!isOutage(error)) throw toEverstepError(error);
    this.#failures += 1;
    await pauseBeforeRepeat(this.#ports, error, this.#failures, this.#signal, leftMs);
  }
}

/** What the server itself says has a reason. Without one, these are what is left of a call whose server or connection died. */
function isOutage(error: unknown): boolean {
  if (mayRepeat(error)) return true;
  if (!(error instanceof ConnectError) || reasonOf(error) !== undefined) return false;
  return error.code === Code.DeadlineExceeded || error.code === Code.Unknown;
}
