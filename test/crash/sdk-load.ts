import { Client } from "../../clients/typescript/src/index.ts";

/** A program on the TypeScript SDK: lanes that start a run, signal it if they are to, wait for its result and start the next one. */
export class SdkLoad {
  /** What reached the program, although the SDK asks again: nothing may. */
  readonly errors: string[] = [];
  /** Runs whose result came. */
  finished = 0;
  readonly #client: Client;
  readonly #queue: string;
  readonly #signal: boolean;
  readonly #lanes: Promise<unknown>;
  #stopping = false;

  constructor(url: string, options: { lanes: number; queue: string; signal?: boolean }) {
    this.#client = new Client({ address: url });
    this.#queue = options.queue;
    this.#signal = options.signal ?? false;
    this.#lanes = Promise.all(Array.from({ length: options.lanes }, () => this.#lane()));
  }
  /** Each lane waits for its last result. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#lanes;
    this.#client.close();
  }

  async #lane(): Promise<void> {
    while (!this.#stopping) {
      try {
        const run = await this.#client.start("torture", { queue: this.#queue, input: { signal: this.#signal } });
        if (this.#signal) await run.signal("go");
        await run.result({ timeoutMs: 60_000 });
        this.finished += 1;
      } catch (error) {
        this.errors.push(`queue ${this.#queue}: ${String(error)}`);
      }
    }
  }
}
