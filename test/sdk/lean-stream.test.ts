import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamToJson } from "@connectrpc/connect/protocol-connect";
import { afterEach, describe, expect, test } from "vitest";
import { createNodePorts } from "../../clients/typescript/src/connection.ts";
import type { FrameStream } from "../../clients/typescript/src/ports.ts";
import { refuse } from "../../src/core/errors.ts";
import { connectErrorOf } from "../../src/server/errors.ts";
import {
  type ServerFrame,
  SessionRequestSchema,
  SessionResponseSchema,
  WorkerFrameSchema,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";

// The worker's end of its stream against a server that answers as a test tells it, bad answers among them.

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function open(answer: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void) {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
  });
  const received: Buffer[] = [];
  const opened = Promise.withResolvers<http2.ServerHttp2Stream>();
  server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => received.push(chunk));
    opened.resolve(stream);
    answer(stream, headers);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/behind/a/proxy`;
  const ports = createNodePorts({ address, apiKey: "a-key-of-the-test" });
  closers.push(() => {
    ports.close();
    for (const session of sessions) session.destroy();
    server.close();
  });
  const frames: ServerFrame[] = [];
  const ended = Promise.withResolvers<unknown>();
  let writables = 0;
  const stream: FrameStream = ports.openStream({
    onFrame: (frame) => frames.push(frame),
    onWritable: () => (writables += 1),
    onEnd: (error) => ended.resolve(error),
  });
  return {
    ports,
    stream,
    frames,
    opened: opened.promise,
    ended: ended.promise,
    /** The code with which the server saw it reset. */
    async closed() {
      const stream = await opened.promise;
      if (!stream.closed) await once(stream, "close");
      return stream.rstCode;
    },
    writables: () => writables,
    /** Nonces of the pongs that came. */
    pongs() {
      const bytes = Buffer.concat(received);
      const nonces: bigint[] = [];
      for (let at = 0; at + 5 <= bytes.length; ) {
        const length = bytes.readUInt32BE(at + 1);
        const { frame } = fromBinary(SessionRequestSchema, bytes.subarray(at + 5, at + 5 + length));
        if (frame?.frame.case === "pong") nonces.push(frame.frame.value.nonce);
        at += 5 + length;
      }
      return nonces;
    },
  };
}

const ok = { ":status": 200, "content-type": "application/connect+proto" };
const pong = (nonce: number) => create(WorkerFrameSchema, { frame: { case: "pong", value: { nonce: BigInt(nonce) } } });
function framed(message: Uint8Array, flags = 0, bytes = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes, 1);
  return Buffer.concat([head, message]);
}
const ping = (nonce: number) =>
  framed(
    toBinary(
      SessionResponseSchema,
      create(SessionResponseSchema, { frame: { frame: { case: "ping", value: { nonce: BigInt(nonce) } } } }),
    ),
  );
const said = (error?: ConnectError) =>
  framed(Buffer.from(JSON.stringify(endStreamToJson(new Headers(), error, undefined))), 2);

test("frames go both ways, in order, and the end is heard", async () => {
  const seen: http2.IncomingHttpHeaders[] = [];
  const worker = await open((stream, headers) => {
    seen.push(headers);
    stream.respond(ok);
    for (const byte of Buffer.concat([ping(1), ping(2)])) stream.write(Buffer.from([byte]));
    stream.once("end", () => stream.end(Buffer.concat([ping(3), said()])));
  });
  for (let nonce = 0; nonce < 1_000; nonce++) worker.stream.send(pong(nonce));
  expect(worker.stream.waitingFrames).toBe(1_000);
  worker.stream.finish();
  worker.stream.send(pong(7));
  expect(await worker.ended).toBeUndefined();
  expect(worker.pongs()).toEqual(Array.from({ length: 1_000 }, (_, nonce) => BigInt(nonce)));
  expect(worker.frames.map(({ frame }) => frame.value)).toMatchObject([{ nonce: 1n }, { nonce: 2n }, { nonce: 3n }]);
  expect(seen[0]).toMatchObject({
    ":path": "/behind/a/proxy/everstep.v1.WorkerService/Session",
    authorization: "Bearer a-key-of-the-test",
    "connect-protocol-version": "1",
  });
});

test("a frame that cannot be encoded ends the stream, and nothing is thrown where nobody listens", async () => {
  const worker = await open((stream) => stream.respond(ok));
  await worker.opened;
  const bad = create(WorkerFrameSchema, { frame: { case: "pong", value: { nonce: 2n ** 80n } } });
  worker.stream.send(bad);
  const error = (await worker.ended) as ConnectError;
  expect([error.code, error.message]).toEqual([Code.Internal, expect.stringContaining("nonce")]);
  expect(await worker.closed()).toBe(http2.constants.NGHTTP2_CANCEL);
});

test("a stream that is given up before it opens is silent when its connection ends", async () => {
  const uncaught: unknown[] = [];
  const note = (error: unknown) => uncaught.push(error);
  process.on("uncaughtException", note);
  try {
    for (let turns = 0; turns < 12; turns++) {
      const worker = await open((stream) => stream.respond(ok));
      await worker.opened;
      const events = { onFrame() {}, onWritable() {}, onEnd: note };
      worker.ports.openStream(events).abort();
      for (let turn = 0; turn < turns; turn++) await null;
      worker.ports.close();
      await worker.ended;
    }
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("uncaughtException", note);
  }
  expect(uncaught).toEqual([]);
});

test("while the server does not read, frames wait; it is told when they have left", async () => {
  const worker = await open((stream) => {
    stream.respond(ok);
    stream.pause();
  });
  const big = create(WorkerFrameSchema, {
    frame: { case: "hello", value: { workerInstanceId: "x".repeat(200_000) } },
  });
  const stream = await worker.opened;
  for (let sent = 0; sent < 100; sent++) worker.stream.send(big);
  await new Promise((resolve) => stream.session?.ping(resolve));
  const waiting = worker.stream.waitingFrames;
  expect(waiting).toBeGreaterThan(50);
  const before = worker.writables();
  stream.resume();
  while (worker.stream.waitingFrames > 0) await new Promise((resolve) => setImmediate(resolve));
  while (worker.writables() === before) await new Promise((resolve) => setImmediate(resolve));
});

test("one that is given up says nothing any more, and the server sees it reset", async () => {
  const worker = await open((stream) => {
    stream.respond(ok);
    stream.write(ping(1));
  });
  const stream = await worker.opened;
  while (worker.frames.length === 0) await new Promise((resolve) => setImmediate(resolve));
  let ended = false;
  worker.ended.then(() => (ended = true));
  worker.stream.abort();
  await once(stream, "close");
  expect(stream.rstCode).toBe(http2.constants.NGHTTP2_CANCEL);
  expect(ended).toBe(false);
});

describe("an end that is none", () => {
  const wrongKey = new ConnectError("the API key is wrong", Code.Unauthenticated);
  test.each<[string, (stream: http2.ServerHttp2Stream) => void, Code, boolean]>([
    [
      "the key is refused",
      (stream) => stream.respond({ ":status": 401 }, { endStream: true }),
      Code.Unauthenticated,
      true,
    ],
    [
      "a proxy has no server",
      (stream) => stream.respond({ ":status": 502 }, { endStream: true }),
      Code.Unavailable,
      false,
    ],
    [
      "it is a page",
      (stream) => {
        stream.respond({ ":status": 200, "content-type": "text/html" });
        stream.end("<html>");
      },
      Code.Unknown,
      false,
    ],
    [
      "the key is revoked",
      (stream) => {
        stream.respond(ok);
        stream.end(said(wrongKey));
      },
      Code.Unauthenticated,
      true,
    ],
    [
      "its version is not spoken",
      (stream) => {
        stream.respond(ok);
        stream.end(said(connectErrorOf(refuse("VERSION_UNSUPPORTED", "too old"))));
      },
      Code.FailedPrecondition,
      true,
    ],
    [
      "nobody says that it is one",
      (stream) => {
        stream.respond(ok);
        stream.end(ping(1));
      },
      Code.InvalidArgument,
      false,
    ],
    [
      "it is within a message",
      (stream) => {
        stream.respond(ok);
        stream.end(ping(1).subarray(0, 7));
      },
      Code.InvalidArgument,
      false,
    ],
    [
      "a message cannot be read",
      (stream) => {
        stream.respond(ok);
        stream.write(framed(new Uint8Array([10, 200, 1])));
      },
      Code.Internal,
      false,
    ],
    [
      "a message is compressed",
      (stream) => {
        stream.respond(ok);
        stream.write(framed(new Uint8Array(3), 1));
      },
      Code.Internal,
      false,
    ],
    [
      "a message is too large",
      (stream) => {
        stream.respond(ok);
        stream.write(framed(new Uint8Array(3), 0, 17 * 1024 * 1024));
      },
      Code.ResourceExhausted,
      false,
    ],
    ["it is refused", (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM), Code.Unavailable, false],
    ["it is reset", (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR), Code.Unavailable, false],
    [
      "the connection breaks",
      (stream) => {
        stream.respond(ok);
        stream.session?.ping(() => stream.session?.socket.destroy());
      },
      Code.Canceled,
      false,
    ],
  ])("because %s", async (_what, answer, code, permanent) => {
    const worker = await open(answer);
    worker.stream.send(pong(1));
    const error = await worker.ended;
    expect(error).toBeInstanceOf(ConnectError);
    expect(Code[(error as ConnectError).code]).toBe(Code[code]);
    expect(worker.ports.isPermanent(error)).toBe(permanent);
  });

  test("because nobody listens", async () => {
    const ports = createNodePorts({ address: "http://127.0.0.1:9" });
    closers.push(() => ports.close());
    const error = await new Promise((onEnd) => ports.openStream({ onFrame() {}, onWritable() {}, onEnd }));
    expect(ports.isPermanent(error)).toBe(false);
    expect((error as ConnectError).code).toBe(Code.Unavailable);
  });
});
