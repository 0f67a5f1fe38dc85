import type { Event } from "../../../gen/ts/everstep/v1/event_pb.ts";
import type { Client } from "./client.ts";
import type { ResultOptions, SignalRunOptions, WatchOptions } from "./client-options.ts";
import type { RunInfo } from "./run-info.ts";

/** A run as its starter sees it. */
export class RunHandle<Output = unknown> {
  readonly #client: Client;
  readonly runId: string;
  /** True when an earlier call had started it. */
  readonly alreadyStarted: boolean;

  constructor(client: Client, runId: string, alreadyStarted: boolean) {
    this.#client = client;
    this.runId = runId;
    this.alreadyStarted = alreadyStarted;
  }

  /** See `Client.result`. */
  result(options?: ResultOptions): Promise<Output> {
    return this.#client.result<Output>(this.runId, options);
  }

  get(): Promise<RunInfo> {
    return this.#client.get(this.runId);
  }

  signal(name: string, payload?: unknown, options?: SignalRunOptions): Promise<number> {
    return this.#client.signal(this.runId, name, payload, options);
  }

  cancel(options?: { reason?: string; graceMs?: number }): Promise<RunInfo> {
    return this.#client.cancel(this.runId, options);
  }

  terminate(options?: { reason?: string }): Promise<RunInfo> {
    return this.#client.terminate(this.runId, options);
  }

  watch(options?: WatchOptions): AsyncGenerator<Event> {
    return this.#client.watch(this.runId, options);
  }
}
