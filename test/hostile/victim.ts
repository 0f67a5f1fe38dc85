import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";

/** A client of good will beside an attack: starts runs one after the other until it is told to stop. */
export class Victim {
  readonly latenciesMs: number[] = [];
  readonly failures: string[] = [];
  #running = true;
  readonly #done: Promise<void>;

  constructor(url: string) {
    const runs = createClient(RunService, createGrpcTransport({ baseUrl: url }));
    this.#done = this.#loop(() => runs.startRun({ workflow: "w", queue: "victim" }));
  }
  async #loop(call: () => Promise<unknown>): Promise<void> {
    while (this.#running) {
      const begunAtMs = performance.now();
      await call().catch((error: unknown) => this.failures.push(String(error)));
      this.latenciesMs.push(performance.now() - begunAtMs);
    }
  }
  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }
}
