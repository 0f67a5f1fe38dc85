// When the next stream is opened: soon and spread out, as the server says, or slowly when waiting does not heal it.
import type { GoAway } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { fullJitterMs, reconnectBackoff, slowDelayMs } from "./backoff.ts";
import { failuresPerTransport } from "./limits.ts";
import type { SessionPorts } from "./ports.ts";

type ReconnectPorts = Pick<SessionPorts, "random" | "renewTransport">;

export class Reconnect {
  readonly #ports: ReconnectPorts;
  #failures = 0;
  #goAway: GoAway | undefined;

  constructor(ports: ReconnectPorts) {
    this.#ports = ports;
  }

  /** The session is up. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** The server told when to come back. */
  told(goAway: GoAway): void {
    this.#goAway = goAway;
  }

  /** A stream ended: how long to wait for the next one. */
  nextDelayMs(slow: boolean): number {
    const { random } = this.#ports;
    const goAway = this.#goAway;
    this.#goAway = undefined;
    this.#failures += 1;
    if (this.#failures % failuresPerTransport === 0) this.#ports.renewTransport();
    if (slow) return slowDelayMs(random);
    const delayMs = fullJitterMs(this.#failures, reconnectBackoff, random);
    if (goAway === undefined) return delayMs;
    return Math.max(delayMs, Number(goAway.reconnectAfterMs) + random() * Number(goAway.jitterMs));
  }
}
