import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { OpResult } from "../../gen/ts/everstep/v1/change_pb.ts";
import {
  type ServerFrame,
  type SessionRequest,
  SessionRequestSchema,
  type WorkerFrameSchema,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { Peer } from "./peers.ts";

export type FrameInit = NonNullable<MessageInitShape<typeof WorkerFrameSchema>["frame"]>;
export type FrameCase = NonNullable<ServerFrame["frame"]["case"]>;
type ValueOf<C extends FrameCase> = Extract<ServerFrame["frame"], { case: C }>["value"];

/** A worker's end of one stream of any client: what is sent as it is written here, and what came, in order. */
export class Conversation {
  readonly received: ServerFrame["frame"][] = [];
  ended = false;
  /** Why the stream ended, when it was not in order. */
  error: unknown;
  readonly #requests: SessionRequest[] = [];
  readonly #abort = new AbortController();
  #closing = false;
  #wakeSender: () => void = () => {};
  #waiting: (() => void)[] = [];
  readonly #results = new Map<bigint, OpResult>();

  constructor(peer: Peer) {
    void this.#readAll(peer.workers.session(this.#toSend(), { signal: this.#abort.signal }));
  }

  send(frame: FrameInit): void {
    this.sendRequest(create(SessionRequestSchema, { frame: { frame } }));
  }
  /** A request that was made by hand, also one that no SDK would make. */
  sendRequest(request: SessionRequest): void {
    this.#requests.push(request);
    this.#wakeSender();
  }
  closeSending(): void {
    this.#closing = true;
    this.#wakeSender();
  }
  cut(): void {
    this.#abort.abort();
  }
  get kinds(): (FrameCase | undefined)[] {
    return this.received.map((frame) => frame.case);
  }
  of<C extends FrameCase>(kind: C): ValueOf<C>[] {
    return this.received.filter((frame) => frame.case === kind).map((frame) => frame.value as ValueOf<C>);
  }
  /** Waits for the frame of this kind that comes as number `count`. */
  async next<C extends FrameCase>(kind: C, count = 1): Promise<ValueOf<C>> {
    for (;;) {
      const found = this.of(kind)[count - 1];
      if (found !== undefined) return found;
      if (this.ended) {
        throw new Error(`the stream ended without ${kind} number ${count}; it had ${this.kinds.join(", ")}`, {
          cause: this.error,
        });
      }
      await this.#news();
    }
  }
  /** The newest result of this op, once it has come. Ops of different leases need different numbers here. */
  async result(opId: bigint): Promise<OpResult> {
    for (;;) {
      const found = this.#results.get(opId);
      if (found !== undefined) return found;
      if (this.ended) throw new Error(`the stream ended without a result of op ${opId}`, { cause: this.error });
      await this.#news();
    }
  }
  async end(): Promise<void> {
    while (!this.ended) await this.#news();
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
  #tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
  async *#toSend(): AsyncGenerator<SessionRequest> {
    for (;;) {
      const request = this.#requests.shift();
      if (request !== undefined) yield request;
      else if (this.#closing) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wakeSender = resolve;
        });
      }
    }
  }
  async #readAll(responses: AsyncIterable<{ frame?: ServerFrame | undefined }>): Promise<void> {
    try {
      for await (const { frame } of responses) {
        if (frame !== undefined) this.#receive(frame);
      }
    } catch (error) {
      this.error = error;
    }
    this.ended = true;
    this.#tell();
  }
  #receive({ frame }: ServerFrame): void {
    this.received.push(frame);
    if (frame.case === "opResults") for (const result of frame.value.results) this.#results.set(result.opId, result);
    this.#tell();
  }
}
