import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import { refuse } from "../../src/core/errors.ts";
import { createServer, type EverstepServer } from "../../src/server/server.ts";
import { createFrameReader } from "../../src/server/worker-frames.ts";
import { type WorkerFrame, WorkerFrameSchema, WorkerService } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { fakeEngine, fakeSession } from "./fake-engine.ts";

const leaseBytes = new Uint8Array(16).fill(1);
const leaseId = "01".repeat(16);
const lease = { runId: "r", leaseId: leaseBytes, epoch: 1n };
type FrameInit = NonNullable<MessageInitShape<typeof WorkerFrameSchema>["frame"]>;
const helloFrame: FrameInit = {
  case: "hello",
  value: { protocolVersion: 1, workerInstanceId: "instance", workflows: ["w"] },
};
const frame = (init: FrameInit): WorkerFrame => create(WorkerFrameSchema, { frame: init });
const completed = (stepKey: string) => ({ change: { case: "completeStep" as const, value: { stepKey } } });

function reader() {
  const session = fakeSession();
  const bad: unknown[] = [];
  const read = createFrameReader(session.handle, { payloadBytesMax: 100, onBadHello: (refusal) => bad.push(refusal) });
  return { ...session, bad, read: (init: FrameInit) => read.read(frame(init)), reader: read };
}

describe("frames of a worker", () => {
  test("each kind reaches the engine", () => {
    const { read, calls } = reader();
    read(helloFrame);
    read({ case: "capacity", value: { capacity: 5 } });
    read({ case: "accept", value: { leases: [lease] } });
    read({ case: "ops", value: { ops: [{ opId: 1n, lease, changes: [completed("a")] }] } });
    read({ case: "beat", value: { beatSeq: 2n, held: [{ leaseId: leaseBytes, epoch: 1n, noticesSeen: 3n }] } });
    read({ case: "release", value: { leases: [lease], retryAfterMs: 9n } });
    read({ case: "drain", value: {} });
    read({ case: "pong", value: { nonce: 4n } });
    read({ case: "goodbye", value: {} });
    expect(calls.map(({ name }) => name)).toEqual([
      ...["hello", "capacity", "accept", "op", "beat", "release", "drain", "pong", "goodbye"],
    ]);
    const handle = { runId: "r", leaseId, epoch: 1 };
    expect(calls[2]?.args).toEqual([[handle]]);
    expect(calls[3]?.args[0]).toMatchObject({ opId: 1, lease: handle, afterRefused: 0, changes: [{ stepKey: "a" }] });
    expect(calls[4]?.args).toEqual([2, [{ leaseId, epoch: 1, noticesSeen: 3 }]]);
    expect(calls[5]?.args).toEqual([[handle], 9]);
  });

  test("an invalid op is refused in its place, the others of the frame are not", () => {
    const { read, calls } = reader();
    read(helloFrame);
    const ops = [
      { opId: 1n, lease, changes: [completed("a")] },
      { opId: 2n, lease, changes: [completed("b"), completed("")] },
      { opId: 3n, lease, changes: [] },
      { opId: 4n, changes: [completed("c")] },
      { opId: 5n, lease, changes: Array.from({ length: 65 }, () => completed("d")) },
      { opId: 6n, lease, changes: [completed("e")], afterRefused: 2n },
    ];
    read({ case: "ops", value: { ops } });
    const summary = calls.slice(1).map(({ name, args }) => {
      return name === "op" ? [name] : [name, args[0], (args[2] as { field: string }).field];
    });
    expect(summary).toEqual([
      ["op"],
      ["invalidOp", 2, "changes[1].step_key"],
      ["invalidOp", 3, "changes"],
      ["invalidOp", 4, "lease"],
      ["invalidOp", 5, "changes"],
      ["op"],
    ]);
  });

  const invalid: [string, FrameInit, string][] = [
    ["an empty frame", { case: undefined }, "frame"],
    ["a second Hello", helloFrame, "frame"],
    ["a negative capacity", { case: "capacity", value: { capacity: -1 } }, "capacity"],
    ["a lease that is none", { case: "accept", value: { leases: [lease, {}] } }, "leases[1].run_id"],
    ["op_id 0", { case: "ops", value: { ops: [{ lease, changes: [completed("a")] }] } }, "ops[0].op_id"],
    ["too many ops", { case: "ops", value: { ops: Array.from({ length: 1_025 }, () => ({})) } }, "ops"],
    ["a negative epoch", { case: "beat", value: { held: [{ leaseId: leaseBytes, epoch: -1n }] } }, "held[0].epoch"],
    ["a negative delay", { case: "release", value: { leases: [lease], retryAfterMs: -1n } }, "retry_after_ms"],
  ];
  for (const [name, init, field] of invalid) {
    test(`${name} is refused in-band`, () => {
      const { read, called } = reader();
      read(helloFrame);
      read(init);
      expect(called("invalidFrame")).toHaveLength(1);
      expect(called("invalidFrame")[0]?.args[0]).toMatchObject({ field });
    });
  }

  test("a Hello that is wrong is told why", () => {
    const { read, bad, calls } = reader();
    read({ case: "hello", value: { protocolVersion: 1, workerInstanceId: "instance" } });
    expect(bad).toMatchObject([{ reason: "INVALID", field: "workflows" }]);
    expect(calls).toEqual([]);
  });
});

describe("the stream", () => {
  const servers: EverstepServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close(0);
  });

  async function open(apiKeys?: string[], transport = (baseUrl: string) => createGrpcTransport({ baseUrl })) {
    const session = fakeSession();
    const server = createServer(fakeEngine({ openSession: session.openSession }), {
      port: 0,
      ...(apiKeys && { apiKeys }),
    });
    servers.push(server);
    const { url } = await server.listen();
    const queue: FrameInit[] = [];
    let wake = () => {};
    let ended = false;
    async function* requests() {
      for (;;) {
        const next = queue.shift();
        if (next !== undefined) yield { frame: frame(next) };
        else if (ended) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    }
    const controller = new AbortController();
    const headers = apiKeys ? { authorization: `Bearer ${apiKeys[0]}` } : {};
    const client = createClient(WorkerService, transport(url));
    const responses = client.session(requests(), { signal: controller.signal, headers })[Symbol.asyncIterator]();
    return {
      ...session,
      server,
      send(init: FrameInit) {
        queue.push(init);
        wake();
      },
      closeSending() {
        ended = true;
        wake();
      },
      abort: () => controller.abort(),
      async next() {
        const { value, done } = await responses.next();
        return done === true ? undefined : value.frame?.frame;
      },
      async until(name: string) {
        while (session.called(name).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      },
    };
  }
  const ping = (nonce: number) => ({ kind: "ping" as const, nonce });

  test("frames go both ways, results in bulk, and end() ends it behind the last frame", async () => {
    const stream = await open();
    stream.send(helloFrame);
    const first = stream.next();
    await stream.until("hello");
    stream.push(ping(1));
    expect(await first).toMatchObject({ case: "ping", value: { nonce: 1n } });
    const result = { opId: 1, leaseId, outcome: refuse("BUSY", "full") };
    stream.push({ kind: "opResult", result }, { kind: "opResult", result: { ...result, opId: 2 } });
    expect(await stream.next()).toMatchObject({ case: "opResults", value: { results: [{ opId: 1n }, { opId: 2n }] } });
    stream.push(ping(2));
    stream.end();
    expect(await stream.next()).toMatchObject({ case: "ping" });
    expect(await stream.next()).toBeUndefined();
    await stream.until("closed");
  });

  test.each([
    ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
    ["gRPC with JSON", (baseUrl: string) => createGrpcTransport({ baseUrl, useBinaryFormat: false })],
    ["Connect", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2" })],
    [
      "Connect with JSON",
      (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
    ],
  ])("says the same over %s: an op, a bad one, their results, and a frame behind them", async (_, transport) => {
    const stream = await open(undefined, transport);
    stream.send(helloFrame);
    const first = stream.next();
    stream.send({
      case: "ops",
      value: {
        ops: [
          { opId: 1n, lease, changes: [completed("a")] },
          { opId: 2n, lease },
        ],
      },
    });
    stream.send({ case: "drain", value: {} });
    await stream.until("drain");
    const handle = { runId: "r", leaseId, epoch: 1 };
    const change = { type: "CompleteStep", stepKey: "a", attempt: 0, output: undefined, elapsedMs: 0 };
    expect(stream.called("op")).toEqual([
      { name: "op", args: [{ opId: 1, lease: handle, changes: [change], afterRefused: 0 }] },
    ]);
    expect(stream.called("invalidOp")).toMatchObject([{ args: [2, handle, { field: "changes" }] }]);
    const applied = { kind: "applied", already: true, lastSeq: 7, notes: [], nowMs: 0, queued: false } as const;
    const refused = refuse("INVALID", "no changes", { field: "changes" });
    stream.push(
      { kind: "opResult", result: { opId: 1, leaseId, outcome: applied } },
      { kind: "opResult", result: { opId: 2, leaseId, outcome: refused } },
      { kind: "drainAck" },
    );
    expect(await first).toMatchObject({
      case: "opResults",
      value: {
        results: [
          { opId: 1n, leaseId: leaseBytes, result: { case: "applied", value: { alreadyApplied: true, lastSeq: 7n } } },
          { opId: 2n, result: { case: "refused", value: { field: "changes" } } },
        ],
      },
    });
    expect(await stream.next()).toMatchObject({ case: "drainAck" });
    stream.end();
    expect(await stream.next()).toBeUndefined();
  });

  test("JSON is JSON in capitals too", async () => {
    const capitals: Interceptor = (next) => (request) => {
      request.header.set("content-type", "application/connect+JSON");
      return next(request);
    };
    const stream = await open(undefined, (baseUrl) =>
      createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false, interceptors: [capitals] }),
    );
    stream.send(helloFrame);
    const first = stream.next().catch(() => {});
    stream.send({ case: "ops", value: { ops: [{ opId: 1n, lease, changes: [completed("a")] }] } });
    await stream.until("op");
    stream.abort();
    await first;
  });

  test("a client that goes away closes the engine's end", async () => {
    const stream = await open();
    stream.send(helloFrame);
    const first = stream.next().catch(() => {});
    await stream.until("hello");
    stream.abort();
    await stream.until("closed");
    await first;
  });

  test("a half-closed stream is still answered, and ends when the engine ends it", async () => {
    const brief = await open();
    brief.send(helloFrame);
    brief.closeSending();
    const answer = brief.next();
    await brief.until("halfClosed");
    expect(brief.called("closed")).toEqual([]);
    brief.push(ping(1));
    brief.end();
    expect(await answer).toMatchObject({ case: "ping" });
    expect(await brief.next()).toBeUndefined();

    const polite = await open();
    polite.send(helloFrame);
    polite.send({ case: "goodbye", value: {} });
    polite.closeSending();
    const last = polite.next();
    await polite.until("goodbye");
    polite.push(ping(3));
    polite.end();
    expect(await last).toMatchObject({ case: "ping" });
    expect(await polite.next()).toBeUndefined();
    expect(polite.called("halfClosed")).toEqual([]);
  });

  test("a bad Hello is answered and ends the stream", async () => {
    const stream = await open();
    stream.send({ case: "hello", value: { protocolVersion: 1, workerInstanceId: "x", workflows: ["w"] } });
    expect(await stream.next()).toMatchObject({ case: "frameRefused", value: { field: "worker_instance_id" } });
    expect(await stream.next()).toBeUndefined();
  });

  test("a revoked key ends the stream", async () => {
    const stream = await open(["the-first-api-key"]);
    stream.send(helloFrame);
    const first = stream.next();
    await stream.until("hello");
    stream.server.setApiKeys(["the-second-api-key"]);
    const error = await first.catch((thrown: unknown) => ConnectError.from(thrown));
    expect((error as ConnectError).code).toBe(Code.Unauthenticated);
    await stream.until("closed");
  });
});
