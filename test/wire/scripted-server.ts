// The runner as a server: takes the streams of a worker, checks every frame against the rules that hold in every
// scenario, and answers as the scenario says. Beats and starts that a worker may leave out are answered here.
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type ChangeResultSchema, type Op, OpSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import {
  ServerFrameSchema,
  SessionResponseSchema,
  type WorkerFrame,
  WorkerFrameSchema,
  WorkerService,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { isLike } from "./like.ts";
import { connectMsMax } from "./limits.ts";
import { BrokenRule, Rules } from "./rules.ts";
import type { Answer, Like } from "./scenario.ts";
import { PeerStream } from "./peer-stream.ts";
import type { Transcript } from "./transcript.ts";
import { Waiting } from "./waiting.ts";

export interface Came {
  /** Kind of the frame, or "op". */
  readonly kind: string;
  readonly lease: string;
  readonly json: Record<string, unknown>;
  readonly op?: Op;
  taken: boolean;
}

export class ScriptedServer {
  url = "";
  /** Whether beats and starts are answered. */
  answering = true;
  readonly #server: http2.Http2Server;
  readonly #sessions = new Set<http2.Http2Session>();
  readonly #waiting = new Waiting();
  readonly #streams: PeerStream[] = [];
  readonly #transcript: Transcript;
  readonly #rules = new Rules();
  #stream: PeerStream | undefined;
  #came: Came[] = [];
  #beats: Came[] = [];
  #pongs: string[] = [];
  #nonce = 0;
  #endedAtMs = 0;
  #firstEndAtMs: number | undefined;
  #broken: Error | undefined;

  private constructor(transcript: Transcript) {
    this.#transcript = transcript;
    const session = (requests: AsyncIterable<{ frame?: WorkerFrame }>) => this.#session(requests);
    this.#server = http2.createServer(
      connectNodeAdapter({ routes: (router) => void router.rpc(WorkerService.method.session, session) }),
    );
    this.#server.on("session", (connection) => {
      this.#sessions.add(connection);
      connection.on("close", () => this.#sessions.delete(connection));
      connection.on("error", () => {});
    });
  }

  static async start(transcript: Transcript): Promise<ScriptedServer> {
    const server = new ScriptedServer(transcript);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    server.url = `http://127.0.0.1:${(server.#server.address() as AddressInfo).port}`;
    return server;
  }

  async *#session(requests: AsyncIterable<{ frame?: WorkerFrame }>) {
    const stream = new PeerStream();
    this.#streams.push(stream);
    this.#transcript.add("worker", "opens a stream");
    this.#waiting.changed();
    void this.#readAll(stream, requests);
    for await (const frame of stream.frames()) yield create(SessionResponseSchema, { frame });
  }

  async #readAll(stream: PeerStream, requests: AsyncIterable<{ frame?: WorkerFrame }>): Promise<void> {
    try {
      for await (const { frame } of requests) {
        if (frame === undefined) throw new BrokenRule("every request carries a frame");
        this.#transcript.add("worker", JSON.stringify(toJson(WorkerFrameSchema, frame)));
        this.#rules.check(stream, frame);
        this.#take(stream, frame);
      }
      stream.finished = true;
    } catch (error) {
      if (error instanceof BrokenRule) this.#broken ??= error;
      this.#transcript.add("worker", `the stream ended: ${(error as Error).message}`);
    }
    this.#waiting.changed();
  }

  #take(stream: PeerStream, frame: WorkerFrame): void {
    const { case: kind, value } = frame.frame;
    const json = (toJson(WorkerFrameSchema, frame, { alwaysEmitImplicit: true }) as Record<string, unknown>)[
      kind ?? ""
    ];
    const came = { kind: kind ?? "unknown", lease: "", json: json as Record<string, unknown>, taken: false };
    if (kind === "pong") this.#pongs.push(String(value.nonce));
    else if (kind === "beat") {
      stream.beats.push(came);
      if (this.answering && stream === this.#stream) {
        this.#write(stream, { beatAck: { beatSeq: String(value.beatSeq), expiresInMs: "30000" } });
      }
    } else if (kind === "ops") for (const op of value.ops) this.#takeOp(stream, op);
    else stream.came.push(came);
    this.#waiting.changed();
  }

  /** Starts that are a record only may come or not, by how long a step takes: they are answered and not shown. */
  #takeOp(stream: PeerStream, taken: Op): void {
    // A start that is not shown may be the op that acknowledges a refusal: the next one that is shown then says so.
    const lease = taken.lease?.runId ?? "";
    const afterRefused = taken.afterRefused || stream.acknowledged.get(lease) || 0n;
    const op = { ...taken, afterRefused };
    const shown = op.changes.filter(
      ({ change }) =>
        change.case !== "startStep" ||
        change.value.atMostOnce ||
        change.value.input !== undefined ||
        change.value.timeoutMs !== 0n,
    );
    const json = toJson(OpSchema, { ...op, changes: shown }, { alwaysEmitImplicit: true }) as Record<string, unknown>;
    const came: Came = { kind: "op", lease, json, op, taken: false };
    stream.acknowledged.set(lease, shown.length > 0 ? 0n : afterRefused);
    if (shown.length > 0) stream.came.push(came);
    else if (this.answering) this.answer(came, "applied", stream);
  }

  #check(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** The next stream that the worker opens. */
  async stream(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#stream = await this.#waiting.until(
      () => "a stream of the worker",
      () => {
        this.#check();
        return this.#streams.shift();
      },
    );
    const afterMs = this.#stream.openedAtMs - this.#endedAtMs;
    if (afterMs > withinMs + connectMsMax) throw new Error(`a stream came after ${Math.round(afterMs)} ms`);
    this.#endedAtMs = this.#stream.openedAtMs;
    this.#came = this.#stream.came;
    this.#beats = this.#stream.beats;
  }

  frame(kind: string, like: Like): Promise<Came> {
    return this.#next(
      `a frame ${kind} ${JSON.stringify(like ?? {})}`,
      (came) => came.kind !== "op",
      (came) => {
        if (came.kind !== kind)
          throw new Error(`expected a frame ${kind}, got ${came.kind} ${JSON.stringify(came.json)}`);
        if (like !== undefined && !isLike(came.json, like)) {
          throw new Error(`expected ${kind} like ${JSON.stringify(like)}, got ${JSON.stringify(came.json)}`);
        }
      },
    );
  }

  op(runId: string, changes: readonly Like[], like: Like): Promise<Came> {
    return this.#next(
      `an op of ${runId} like ${JSON.stringify(changes)}`,
      (came) => came.kind === "op" && came.lease === runId,
      (came) => {
        if (!isLike(came.json, { ...(like as object | undefined), changes })) {
          throw new Error(
            `expected an op like ${JSON.stringify({ ...(like as object | undefined), changes })}, got ${JSON.stringify(came.json)}`,
          );
        }
      },
    );
  }

  #next(what: string, mine: (came: Came) => boolean, check: (came: Came) => void): Promise<Came> {
    return this.#waiting.until(
      () => what,
      () => {
        this.#check();
        const came = this.#came.find((one) => !one.taken && mine(one));
        if (came === undefined) return undefined;
        check(came);
        came.taken = true;
        return came;
      },
    );
  }

  /** A beat like this, behind those that were taken. */
  beat(like: Like): Promise<Came> {
    return this.#waiting.until(
      () => `a beat like ${JSON.stringify(like)}`,
      () => {
        this.#check();
        const at = this.#beats.findIndex((one) => isLike(one.json, like));
        return this.#beats.splice(0, at + 1)[at];
      },
    );
  }

  noFrame(kind: string): void {
    const came = this.#came.find(
      (one) => !one.taken && (one.kind === kind || (one.kind === "op" && hasChange(one, kind))),
    );
    if (came !== undefined) throw new Error(`unexpected ${kind}: ${JSON.stringify(came.json)}`);
  }

  answer(came: Came, answer: Answer, stream = this.#stream): void {
    if (answer === "nothing" || stream === undefined) return;
    const { op } = came;
    if (op === undefined) throw new Error("only ops are answered");
    const result = { opId: String(op.opId), leaseId: Buffer.from(op.lease?.leaseId ?? []).toString("base64") };
    const how = answer === "applied" ? { applied: { results: plannedTimers(op) } } : answer;
    this.#write(stream, { opResults: { results: [{ ...result, ...how }] } });
  }

  send(frame: object): void {
    if (this.#stream === undefined) throw new Error("there is no stream");
    this.#write(this.#stream, frame);
  }

  #write(stream: PeerStream, json: object): void {
    this.#transcript.add("server", JSON.stringify(json));
    stream.send(fromJson(ServerFrameSchema, json as JsonValue));
  }

  /** Field 99 of ServerFrame, which no version has. */
  sendUnknown(): void {
    const frame = create(ServerFrameSchema);
    const data = new BinaryWriter().string("of a later version").finish();
    frame.$unknown = [{ no: 99, wireType: WireType.LengthDelimited, data }];
    this.#stream?.send(frame);
  }

  async sync(): Promise<void> {
    const nonce = String(++this.#nonce);
    this.send({ ping: { nonce } });
    await this.#waiting.until(
      () => `pong ${nonce}`,
      () => {
        this.#check();
        return this.#pongs.includes(nonce) ? nonce : undefined;
      },
    );
  }

  /** Waits for the next stream, which must not have come too early. */
  async noStreamFor(ms: number): Promise<void> {
    const endedAtMs = this.#endedAtMs;
    const next = await this.#waiting.until(
      () => "another stream",
      () => this.#streams[0],
    );
    const afterMs = next.openedAtMs - endedAtMs;
    if (afterMs < ms) throw new Error(`a stream came after ${Math.round(afterMs)} ms, not after ${ms} ms`);
  }

  notBefore(ms: number): void {
    const afterMs = performance.now() - (this.#firstEndAtMs ?? 0);
    if (afterMs < ms) throw new Error(`only ${Math.round(afterMs)} ms have passed`);
  }

  endStream(code: string | undefined): void {
    this.#endedAtMs = performance.now();
    this.#firstEndAtMs ??= this.#endedAtMs;
    this.#stream?.end(code === undefined ? undefined : new ConnectError("scripted", Code[code as keyof typeof Code]));
  }

  cut(): void {
    this.#transcript.add("server", "cuts all connections");
    for (const connection of this.#sessions) connection.destroy();
  }

  close(): void {
    for (const stream of [...this.#streams, this.#stream]) stream?.end(undefined);
    this.cut();
    this.#server.close();
  }

  /** After the last action: no rule was broken meanwhile. */
  finish(): void {
    this.#check();
  }
}

function hasChange(came: Came, kind: string): boolean {
  return (came.json.changes as Record<string, unknown>[]).some((change) => kind in change);
}

function plannedTimers(op: Op): MessageInitShape<typeof ChangeResultSchema>[] | object[] {
  return op.changes.flatMap(({ change }, index) =>
    change.case === "setTimer" ? [{ index, timer: { delayMs: String(change.value.delayMs) } }] : [],
  );
}
