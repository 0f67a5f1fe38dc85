import type { ServerFrame } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { Came } from "./scripted-server.ts";

/** One stream of a worker as the scripted server holds it. */
export class PeerStream {
  readonly openedAtMs = performance.now();
  readonly came: Came[] = [];
  readonly beats: Came[] = [];
  /** What the starts that were not shown have acknowledged, by lease. */
  readonly acknowledged = new Map<string, bigint>();
  /** The worker has closed its side. */
  finished = false;
  readonly #waiting: ServerFrame[] = [];
  #wake: () => void = () => {};
  #end: { error: Error | undefined } | undefined;

  send(frame: ServerFrame): void {
    this.#waiting.push(frame);
    this.#wake();
  }

  end(error: Error | undefined): void {
    this.#end ??= { error };
    this.#wake();
  }

  async *frames(): AsyncGenerator<ServerFrame> {
    for (;;) {
      for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) yield frame;
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
