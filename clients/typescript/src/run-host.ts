import type { PayloadCodec } from "./codec.ts";
import type { LeaseRun } from "./lease-run.ts";
import type { Outbox } from "./outbox.ts";
import type { Log, SessionPorts } from "./ports.ts";

/** What a run needs from its session. */
export interface RunHost {
  readonly ports: SessionPorts;
  readonly outbox: Outbox;
  readonly codec: PayloadCodec;
  readonly log: Log;
  readonly payloadBytesMax: number;
  /** The lease goes back to its line. */
  release(run: LeaseRun, retryAfterMs: number): void;
  /** The run holds its lease no longer. */
  ended(run: LeaseRun): void;
}

/** A workflow function over its context. */
export type RunBody = (run: LeaseRun, input: unknown) => Promise<unknown>;
