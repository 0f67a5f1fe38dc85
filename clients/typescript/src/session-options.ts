import type { PayloadCodec } from "./codec.ts";
import type { RunBody } from "./run-host.ts";
import type { Log } from "./ports.ts";

/** Who the worker is and what it can do: what Hello says, and how payloads are read. */
export interface SessionOptions {
  readonly instanceId: string;
  readonly identity: string;
  readonly sdk: string;
  readonly buildId: string;
  readonly namespace: string;
  readonly queues: readonly string[];
  readonly bodies: ReadonlyMap<string, RunBody>;
  readonly capacity: number;
  readonly codec: PayloadCodec;
  readonly log: Log;
}

/** connecting: Hello is out; active: Welcome came; waiting: the next stream is opened after a pause. */
export type SessionState = "idle" | "connecting" | "active" | "waiting" | "draining" | "closed";
