import { once } from "node:events";
import http2 from "node:http2";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, test, vi } from "vitest";
import { requestReadMsMax } from "../../src/limits.ts";
import { createServer, type EverstepServer } from "../../src/server/server.ts";
import { SessionRequestSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { fakeEngine, fakeSession } from "./fake-engine.ts";

// Plain streams of workers do not pass Connect's handlers. Each story here is told over both, byte by byte: the engine
// must hear the same calls and the worker must see the same headers, messages and trailers.

const key = "the-key-of-the-test";
const servers: EverstepServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(0);
});

type FrameInit = NonNullable<NonNullable<MessageInitShape<typeof SessionRequestSchema>["frame"]>["frame"]>;
const hello: FrameInit = {
  case: "hello",
  value: { protocolVersion: 1, workerInstanceId: "instance", workflows: ["w"] },
};
const pong = (nonce: number): FrameInit => ({ case: "pong", value: { nonce: BigInt(nonce) } });
const messageOf = (frame: FrameInit) =>
  toBinary(SessionRequestSchema, create(SessionRequestSchema, { frame: { frame } }));

function framed(message: Uint8Array, flags = 0, bytes = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes, 1);
  return Buffer.concat([head, message]);
}
const sent = (...frames: FrameInit[]) => Buffer.concat(frames.map((frame) => framed(messageOf(frame))));

async function open(type: string, headers: Record<string, string> = {}) {
  const session = fakeSession();
  const logged: unknown[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (fields: unknown) => logged.push(fields) };
  const engine = fakeEngine({ openSession: session.openSession });
  const server = createServer(engine, { port: 0, apiKeys: [key, "another-key-that-stays"], log: log as never });
  servers.push(server);
  const { url } = await server.listen();
  const connection = http2.connect(url);
  const stream = connection.request({
    ":method": "POST",
    ":path": "/everstep.v1.WorkerService/Session",
    "content-type": type,
    authorization: `Bearer ${key}`,
    te: "trailers",
    ...headers,
  });
  const seen = { headers: {} as object, trailers: {} as object, bytes: Buffer.alloc(0) };
  stream.on("response", ({ date: _date, ...received }) => (seen.headers = { ...received }));
  stream.on("trailers", (received) => (seen.trailers = { ...received }));
  stream.on("data", (chunk: Buffer) => (seen.bytes = Buffer.concat([seen.bytes, chunk])));
  stream.on("error", () => {});
  return {
    ...session,
    server,
    stream,
    logged,
    seen,
    async until(name: string, count = 1): Promise<void> {
      while (session.called(name).length < count) await new Promise((resolve) => setImmediate(resolve));
    },
    async received(bytes: number): Promise<void> {
      while (seen.bytes.length < bytes) await once(stream, "data");
    },
    async over() {
      if (!stream.readableEnded) await once(stream, "end");
      stream.end();
      connection.close();
      const calls = session.calls.map(({ name, args }) => [name, ...args]);
      return { calls, ...seen, bugs: logged.length };
    },
  };
}
type Told = Awaited<ReturnType<typeof open>>;

const ping = (nonce: number) => ({ kind: "ping" as const, nonce });
const large = (bytes: number) => ({
  kind: "frameRefused" as const,
  refusal: { ...refusal, message: "x".repeat(bytes) },
});
const refusal = { kind: "refused", reason: "PROTOCOL", message: "", field: "", retryAfterMs: 0, runId: "" } as const;

const stories: [string, (worker: Told) => Promise<void>][] = [
  [
    "frames go both ways and end() ends it behind the last frame",
    async (worker) => {
      worker.stream.write(sent(hello));
      await worker.until("hello");
      worker.push(ping(1), ping(2));
      await worker.received(1);
      worker.stream.write(sent(pong(1), pong(2)));
      await worker.until("pong", 2);
      worker.push(ping(3));
      worker.end();
    },
  ],
  [
    "frames that come byte by byte",
    async (worker) => {
      for (const byte of sent(hello, pong(1), pong(2))) {
        worker.stream.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await worker.until("pong", 2);
      worker.end();
    },
  ],
  [
    "many frames in one piece, and a large one",
    async (worker) => {
      const release: FrameInit = {
        case: "release",
        value: {
          leases: Array.from({ length: 3_000 }, () => ({ runId: "r".repeat(100), leaseId: new Uint8Array(16) })),
        },
      };
      worker.stream.write(sent(hello, ...Array.from({ length: 1_000 }, (_, nonce) => pong(nonce)), release, pong(7)));
      await worker.until("pong", 1_001);
      worker.end();
    },
  ],
  [
    "more for the worker than the transport takes at once",
    async (worker) => {
      worker.stream.write(sent(hello));
      await worker.until("hello");
      for (let i = 0; i < 40; i++) worker.push(large(100_000));
      worker.end();
    },
  ],
  [
    "a worker that half-closes",
    async (worker) => {
      worker.stream.end(sent(hello));
      await worker.until("halfClosed");
      worker.push(ping(1));
      await worker.received(1);
      worker.end();
    },
  ],
  [
    "Goodbye, and no more",
    async (worker) => {
      worker.stream.end(sent(hello, { case: "goodbye", value: {} }));
      await worker.until("goodbye");
      worker.end();
    },
  ],
  ["a Hello that is wrong", async (worker) => void worker.stream.write(sent({ case: "hello", value: {} }))],
  [
    "a frame that is empty",
    async (worker) => {
      worker.stream.write(Buffer.concat([sent(hello), framed(new Uint8Array(0))]));
      await worker.until("invalidFrame");
      worker.end();
    },
  ],
  [
    "bytes that are no message",
    async (worker) =>
      void worker.stream.write(
        Buffer.concat([sent(hello, pong(1)), framed(new Uint8Array([10, 200, 1])), sent(pong(2))]),
      ),
  ],
  [
    "a text that is no UTF-8",
    async (worker) => {
      const bytes = Buffer.from(messageOf(hello));
      bytes[bytes.indexOf("instance")] = 255;
      worker.stream.write(framed(bytes));
    },
  ],
  [
    "ops that are none",
    async (worker) => {
      // SessionRequest.frame, WorkerFrame.ops, and in it an op that says it is longer.
      worker.stream.write(Buffer.concat([sent(hello), framed(new Uint8Array([10, 4, 34, 2, 10, 99]))]));
    },
  ],
  [
    "a message above the limit",
    async (worker) => {
      worker.stream.write(sent(hello));
      await worker.until("hello");
      worker.stream.write(framed(new Uint8Array(3), 0, 8 * 1024 * 1024 + 1));
    },
  ],
  [
    "a message that is compressed without a word of how",
    async (worker) => void worker.stream.write(Buffer.concat([sent(hello), framed(messageOf(pong(1)), 1)])),
  ],
  [
    "flags that nobody has explained",
    async (worker) => {
      worker.stream.write(
        Buffer.concat([sent(hello), framed(messageOf(pong(1)), 64), framed(messageOf(pong(2)), 128)]),
      );
      await worker.until("pong", 2);
      worker.end();
    },
  ],
  [
    "a stream that ends within a message",
    async (worker) => void worker.stream.end(Buffer.concat([sent(hello), framed(messageOf(pong(1)), 0, 100)])),
  ],
  [
    "a stream that ends within a head",
    async (worker) => void worker.stream.end(Buffer.concat([sent(hello), Buffer.from([0, 0])])),
  ],
  [
    "a key that is revoked",
    async (worker) => {
      worker.stream.write(sent(hello));
      await worker.until("hello");
      worker.push(ping(1));
      await worker.received(1);
      worker.server.setApiKeys(["another-key-that-stays"]);
    },
  ],
  [
    "a bug of ours",
    async (worker) => {
      worker.handle.pong = () => {
        throw new Error("secret");
      };
      worker.stream.write(sent(hello, pong(1)));
    },
  ],
  [
    "a bug of ours in what goes out",
    async (worker) => {
      worker.stream.write(sent(hello));
      await worker.until("hello");
      worker.push({ kind: "ping", nonce: 0.5 });
    },
  ],
];

describe.each(["application/grpc", "application/connect+proto"])("%s", (type) => {
  test.each(stories)("%s", async (_what, story) => {
    async function told(spelling: string) {
      const worker = await open(spelling);
      await story(worker);
      return worker.over();
    }
    // Connect takes a content type in capitals for the same, too.
    const [lean, connects] = [await told(type), await told(type.toUpperCase())];
    // Its id is another one each time.
    if (lean.bugs === 0) expect(lean).toEqual(connects);
    else expect({ ...lean, trailers: {}, bytes: {} }).toEqual({ ...connects, trailers: {}, bytes: {} });
    expect(`${lean.bytes}${Object.values(lean.trailers)}`).not.toContain("secret");
  });

  test.each(["plain", "Connect's"])("a worker of a stream, $0, that does not read its end is cut off", async (of) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const worker = await open(of === "plain" ? type : type.toUpperCase());
      worker.stream.pause();
      worker.stream.write(sent(hello));
      await worker.until("hello");
      for (let i = 0; i < 100; i++) worker.push(large(100_000));
      worker.end();
      await new Promise((resolve) => setImmediate(resolve));
      await vi.advanceTimersByTimeAsync(requestReadMsMax - 1);
      expect(worker.stream.closed).toBe(false);
      vi.advanceTimersByTime(1);
      await once(worker.stream, "close");
      expect(worker.stream.rstCode).toBe(http2.constants.NGHTTP2_CANCEL);
    } finally {
      vi.useRealTimers();
    }
  });

  test.each(["plain", "Connect's"])("a stream, $0, leaves no timer behind its end", async (of) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const worker = await open(of === "plain" ? type : type.toUpperCase());
      const timers = vi.getTimerCount();
      worker.stream.write(sent(hello));
      await worker.until("hello");
      worker.end();
      await worker.over();
      await worker.until("closed");
      if (!worker.stream.closed) await once(worker.stream, "close");
      // The server sees the stream closed in its own turn; what waits then is the idle time of its connection.
      while (vi.getTimerCount() > timers) await new Promise((resolve) => setImmediate(resolve));
    } finally {
      vi.useRealTimers();
    }
  });

  test.each(["plain", "Connect's"])("a worker that goes, of a stream, $0, leaves no timer", async (of) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const worker = await open(of === "plain" ? type : type.toUpperCase());
      worker.stream.write(sent(hello));
      await worker.until("hello");
      worker.stream.close(http2.constants.NGHTTP2_CANCEL);
      await worker.until("closed");
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(vi.getTimerCount(), "that of the connection, which has no call").toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test("a worker that has gone closes the engine's end", async () => {
    const worker = await open(type);
    worker.stream.write(sent(hello));
    await worker.until("hello");
    worker.stream.close(http2.constants.NGHTTP2_CANCEL);
    await worker.until("closed");
    worker.push(ping(1));
    worker.end();
  });

  test.each([
    ["compressed", { "grpc-encoding": "gzip", "connect-content-encoding": "gzip" }],
    ["whose worker would take it compressed", { "grpc-accept-encoding": "gzip", "connect-accept-encoding": "gzip" }],
    ["with a deadline", { "grpc-timeout": "1H", "connect-timeout-ms": "3600000" }],
  ])("one %s is Connect's", async (_what, headers) => {
    const worker = await open(type, headers as unknown as Record<string, string>);
    worker.stream.write(sent(hello));
    await worker.until("hello");
    worker.push(large(100_000));
    worker.end();
    const { bytes } = await worker.over();
    expect(bytes.length > 50_000).toBe(!("grpc-accept-encoding" in headers || "grpc-encoding" in headers));
  });
});
