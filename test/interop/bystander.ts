import { Conversation } from "./conversation.ts";
import type { Peer } from "./peers.ts";
import { json } from "./world.ts";

/** A healthy worker beside others: it starts runs and completes them, one behind the other, until it is stopped. */
export class Bystander {
  completed = 0;
  readonly session: Conversation;
  readonly #peer: Peer;
  readonly #id: string;
  readonly #working: Promise<void>;
  #stopped = false;
  #tell: () => void = () => {};
  #failure: { readonly error: unknown } | undefined;

  constructor(peer: Peer, id: string) {
    this.#peer = peer;
    this.#id = id;
    this.session = new Conversation(peer);
    this.#working = this.#work().catch((error: unknown) => {
      this.#failure = { error };
      this.#tell();
    });
  }

  /** Waits until one run was begun and completed from now on. */
  async completeAnother(): Promise<void> {
    // The one under way was begun before.
    const enough = this.completed + 2;
    while (this.completed < enough && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#tell = resolve;
      });
    }
    this.#throwFailure();
  }
  /** Ends in order; throws what went wrong in its life. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#working;
    this.#throwFailure();
    this.session.send({ case: "goodbye", value: {} });
    this.session.closeSending();
    await this.session.end();
    if (this.session.error !== undefined) throw this.session.error;
  }

  async #work(): Promise<void> {
    const id = this.#id;
    const hello = { protocolVersion: 1, workerInstanceId: `instance-${id}`, queues: [id], workflows: [id] };
    this.session.send({ case: "hello", value: hello });
    await this.session.next("welcome");
    for (let number = 1; !this.#stopped; number++) {
      await this.#peer.runs.startRun({ runId: `${id}-${number}`, workflow: id, queue: id });
      const { assignments } = await this.session.next("assign", number);
      const lease = assignments[0]?.lease;
      if (assignments.length !== 1 || lease?.runId !== `${id}-${number}`) throw new Error("another run was assigned");
      this.session.send({ case: "accept", value: { leases: [lease] } });
      const change = { case: "completeRun" as const, value: { output: json(number) } };
      this.session.send({ case: "ops", value: { ops: [{ opId: BigInt(number), lease, changes: [{ change }] }] } });
      const { result } = await this.session.result(BigInt(number));
      if (result.case !== "applied") throw new Error(`an op was refused: ${result.value?.message}`);
      this.completed += 1;
      this.#tell();
    }
  }
  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
