import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  HelloSchema,
  type ServerFrame,
  type WorkerFrameSchema,
  SessionRequestSchema,
  WorkerService,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";

export type WorkerFrameInit = NonNullable<MessageInitShape<typeof WorkerFrameSchema>["frame"]>;
export type ServerFrameCase = NonNullable<ServerFrame["frame"]["case"]>;
type ValueOf<C extends ServerFrameCase> = Extract<ServerFrame["frame"], { case: C }>["value"];

/** A worker's end of a real stream, frame by frame: what is sent and what has come. */
export class RawSession {
  readonly received: ServerFrame["frame"][] = [];
  ended = false;
  error: unknown;
  readonly #queue: WorkerFrameInit[] = [];
  readonly #abort = new AbortController();
  readonly #connection: Http2SessionManager;
  #wakeSender: () => void = () => {};
  #wakeReader: () => void = () => {};
  #closing = false;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.#connection = new Http2SessionManager(url);
    const transport = createGrpcTransport({ baseUrl: url, sessionManager: this.#connection });
    const client = createClient(WorkerService, transport);
    const responses = client.session(this.#requests(), { signal: this.#abort.signal, headers });
    void this.#readAll(responses);
  }

  send(...frames: WorkerFrameInit[]): void {
    this.#queue.push(...frames);
    this.#wakeSender();
  }
  hello(more: MessageInitShape<typeof HelloSchema> = {}): void {
    const hello = { protocolVersion: 1, workerInstanceId: "raw-instance", workflows: ["w"], ...more };
    this.send({ case: "hello", value: create(HelloSchema, hello as MessageInitShape<typeof HelloSchema>) });
  }
  /** No more will be sent. */
  closeSending(): void {
    this.#closing = true;
    this.#wakeSender();
  }
  /** The connection is cut. */
  cut(): void {
    this.#abort.abort();
    this.#connection.abort();
  }
  of<C extends ServerFrameCase>(kind: C): ValueOf<C>[] {
    return this.received.filter((frame) => frame.case === kind).map((frame) => frame.value as ValueOf<C>);
  }
  /** Waits for the frame of this kind that comes as number `count`. */
  async next<C extends ServerFrameCase>(kind: C, count = 1): Promise<ValueOf<C>> {
    for (;;) {
      const found = this.of(kind)[count - 1];
      if (found !== undefined) return found;
      if (this.ended) {
        const frames = this.received.map((frame) => frame.case).join(", ");
        throw new Error(`the stream ended without ${kind} number ${count}; it had ${frames || "nothing"}`, {
          cause: this.error,
        });
      }
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }
  /** The result of this op, once it has come. */
  async result(opId: bigint) {
    for (let count = 1; ; count++) {
      const { results } = await this.next("opResults", count);
      const found = results.find((result) => result.opId === opId);
      if (found !== undefined) return found;
    }
  }
  async end(): Promise<void> {
    while (!this.ended) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  async *#requests() {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) yield create(SessionRequestSchema, { frame: { frame } });
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
        if (frame !== undefined) this.received.push(frame.frame);
        this.#wakeReader();
      }
    } catch (error) {
      this.error = error;
    }
    this.ended = true;
    this.#wakeReader();
  }
}
