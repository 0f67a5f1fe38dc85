import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from "node:http2";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import { endStreamFlag, endStreamToJson } from "@connectrpc/connect/protocol-connect";
import { grpcStatusOk, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { Engine } from "../engine/api.ts";
import { messageBytesMax } from "../limits.ts";
import type { SessionResponse } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { keySignalKey } from "./call.ts";
import { unauthenticated } from "./errors.ts";
import { createCutLater } from "./cut-later.ts";
import { Gathered } from "./gathered.ts";
import type { Request, Response } from "./http-reply.ts";
import type { Edge } from "./interceptor.ts";
import { flagCompressed, hasDeadline, headBytes } from "./lean-forms.ts";
import { createSessionPipe, type SessionPipe } from "./session-pipe.ts";
import { leanSession, type LeanSessionRequest } from "./session-wire/lean-session.ts";
import { encodedMessages } from "./worker-service.ts";

// Session as workers speak it: HTTP/2, gRPC or Connect's protocol, protobuf, neither compressed nor with a deadline.
// Connect's handlers send each message through ten generators, each a turn of the microtask queue or more; here a chunk
// that came is cut into messages, and what the engine has for the worker is written, without any. What a worker sees
// is the same.

export interface LeanStreams {
  /** False when it is for Connect. */
  handle(path: string, request: Request, response: Response, values: ContextValues): boolean;
}

const sessionName = `${leanSession.parent.typeName}/${leanSession.name}`;

export function createLeanStreams(engine: Engine, edge: Edge): LeanStreams {
  const path = `/${sessionName}`;
  return {
    handle(asked, request, response, values) {
      if (asked !== path || !("stream" in request) || !("stream" in response)) return false;
      const form = formOf(request);
      if (form === undefined) return false;
      serve(engine, edge, form, response, values.get(keySignalKey));
      return true;
    },
  };
}

interface Form {
  readonly contentType: string;
  /** Ends the answer behind all messages. */
  end(response: Http2ServerResponse, error: ConnectError | undefined): void;
}

function formOf(request: Http2ServerRequest): Form | undefined {
  const { method, headers } = request;
  if (method !== "POST" || hasDeadline(request)) return undefined;
  switch (headers["content-type"]) {
    case "application/grpc":
    case "application/grpc+proto":
      return isPlain(headers["grpc-encoding"], headers["grpc-accept-encoding"]) ? grpc : undefined;
    case "application/connect+proto":
      return isPlain(headers["connect-content-encoding"], headers["connect-accept-encoding"]) ? connect : undefined;
    default:
      return undefined;
  }
}

function isPlain(encoding: unknown, accepted: unknown): boolean {
  return (encoding === undefined || encoding === "identity") && (accepted === undefined || accepted === "identity");
}

const grpc: Form = {
  contentType: "application/grpc+proto",
  end(response, error) {
    const trailers = new Headers({ "grpc-status": grpcStatusOk });
    if (error !== undefined) setTrailerStatus(trailers, error);
    response.addTrailers(Object.fromEntries(trailers));
    response.end();
  },
};

const connect: Form = {
  contentType: "application/connect+proto",
  end(response, error) {
    const outcome = Buffer.from(JSON.stringify(endStreamToJson(new Headers(), error, undefined)));
    response.end(Buffer.concat([headOf(endStreamFlag, outcome.length), outcome]));
  },
};

function serve(
  engine: Engine,
  edges: Edge,
  form: Form,
  response: Http2ServerResponse,
  keySignal: AbortSignal | undefined,
): void {
  const { stream } = response;
  let scheduled = false;
  let full = false;
  let over = false;
  const pipe = createSessionPipe(engine, encodedMessages, schedule);
  const edge = edges.stream(sessionName);
  const cutLater = createCutLater(response);

  /** The engine calls in the middle of its work: what it pushes until that is done goes out together. */
  function schedule(): void {
    if (scheduled || over) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      if (pipe.ended) cutLater();
      pump();
    });
  }
  function pump(): void {
    if (over) return;
    if (stream.destroyed) return gone();
    try {
      while (!full) {
        const responses = pipe.take();
        if (responses.length > 0) write(responses);
        else if (pipe.ended) return end();
        else return;
      }
    } catch (thrown) {
      finish(edge.failed(thrown));
    }
  }
  function write(responses: readonly SessionResponse[]): void {
    begin();
    full = !stream.write(encode(responses));
  }
  function begin(): void {
    if (!response.headersSent) response.writeHead(200, { "content-type": form.contentType });
  }
  function end(): void {
    const lastWords = pipe.lastWords();
    if (lastWords.length > 0) write(lastWords);
    if (keySignal?.aborted === true) throw unauthenticated("the API key was revoked");
    edge.ended();
    finish(undefined);
  }
  function finish(error: ConnectError | undefined): void {
    settle();
    begin();
    form.end(response, error);
    // What the worker sends until it hangs up is read and thrown away.
    cutLater();
  }
  function gone(): void {
    if (over) return;
    settle();
    edge.cut();
  }
  function settle(): void {
    over = true;
    keySignal?.removeEventListener("abort", pipe.stop);
    pipe.stop();
  }

  stream.on("drain", () => {
    full = false;
    if (pipe.ended) cutLater();
    pump();
  });
  stream.on("close", gone);
  stream.on("aborted", gone);
  readMessages(stream, pipe);
  keySignal?.addEventListener("abort", pipe.stop, { once: true });
  if (keySignal?.aborted === true) pipe.stop();
}

/** One buffer for all of them: each write is a frame of HTTP/2 at least. */
function encode(responses: readonly SessionResponse[]): Buffer {
  return Buffer.concat(
    responses.flatMap((response) => {
      const message = toBinary(leanSession.output, response);
      return [headOf(0, message.length), message];
    }),
  );
}

function headOf(flags: number, bytes: number): Buffer {
  const head = Buffer.allocUnsafe(headBytes);
  head[0] = flags;
  head.writeUInt32BE(bytes, 1);
  return head;
}

/** Cuts what comes into messages. A stream that ends within one has failed, and so has one that cannot be understood. */
function readMessages(stream: ServerHttp2Stream, pipe: SessionPipe<LeanSessionRequest>): void {
  /** What came of a message that is not whole, and how many bytes have to be there before it is looked at. */
  const gathered = new Gathered();
  let wantedBytes = headBytes;

  /** In Connect's words, of which unreadable.ts makes a reason. */
  const fail = (code: Code, text: string) => pipe.failed(new ConnectError(text, code));

  function onData(chunk: Uint8Array): void {
    if (pipe.ended) return;
    if (gathered.length > 0 || chunk.length < wantedBytes) {
      gathered.add(chunk);
      if (gathered.length >= wantedBytes) gathered.drop(readWhole(gathered.bytes));
      return;
    }
    const taken = readWhole(chunk);
    if (taken < chunk.length) gathered.add(chunk.subarray(taken));
  }
  /** Reads the messages that are whole; how many bytes they took. */
  function readWhole(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (;;) {
      wantedBytes = headBytes;
      if (bytes.length - at < headBytes) return at;
      const messageBytes = view.getUint32(at + 1);
      if (messageBytes > messageBytesMax) fail(Code.ResourceExhausted, `a message has ${messageBytes} bytes`);
      else if ((view.getUint8(at) & flagCompressed) !== 0) fail(Code.Internal, compressedUnasked);
      if (pipe.ended) return at;
      wantedBytes += messageBytes;
      if (bytes.length - at < wantedBytes) return at;
      // A copy: an op that waits to be decided would keep all that came with it.
      readMessage(Uint8Array.prototype.slice.call(bytes, at + headBytes, at + wantedBytes));
      if (pipe.ended) return at;
      at += wantedBytes;
    }
  }
  function readMessage(bytes: Uint8Array): void {
    let message: LeanSessionRequest;
    try {
      message = fromBinary(leanSession.input, bytes) as LeanSessionRequest;
    } catch (error) {
      return fail(Code.Internal, `parse binary: ${error instanceof Error ? error.message : error}`);
    }
    pipe.read(message);
  }
  stream.on("data", onData);
  stream.on("end", () => {
    if (pipe.ended) return;
    if (gathered.length === 0) return pipe.halfClosed();
    const missing = wantedBytes - gathered.length;
    fail(
      Code.InvalidArgument,
      gathered.length < headBytes ? incomplete : `the stream ended ${missing} ${beforeMessage}`,
    );
  });
}
const incomplete = "protocol error: incomplete envelope";
const beforeMessage = "bytes before its last message did";
const compressedUnasked = "received compressed envelope, but do not know how to decompress";
