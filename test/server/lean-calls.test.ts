import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineError, refuse } from "../../src/core/errors.ts";
import { serviceOf } from "../../src/server/lean-calls.ts";
import { createLeaseService } from "../../src/server/lease-service.ts";
import { createRunService } from "../../src/server/run-service.ts";
import { createServer, type EverstepServer } from "../../src/server/server.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { GetRunRequestSchema, RunService, StartRunRequestSchema } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { fakeEngine, someRun } from "./fake-engine.ts";

// Plain calls do not pass Connect's handlers. Each here is sent twice, once plain and once in a spelling that goes to
// Connect: byte for byte, the caller must not see a difference.

const key = "the-key-of-the-test";
const logged: object[] = [];
const waits: AbortSignal[] = [];
let waiting = Promise.withResolvers<void>();
let server: EverstepServer;
let url = "";

beforeAll(async () => {
  const engine = fakeEngine({
    async getRun({ runId }) {
      if (runId === "bug") throw new Error("secret");
      if (runId === "large") return { ...someRun, input: { data: JSON.stringify("x".repeat(40_000)), encoding: "" } };
      if (runId === "run-1") return someRun;
      throw new EngineError(refuse("RUN_NOT_FOUND", "there is no such run", { field: "run_id", runId }));
    },
    waitRun: (_ref, { signal }) =>
      new Promise((_resolve, reject) => {
        waits.push(signal);
        signal.addEventListener("abort", () => reject(signal.reason));
        waiting.resolve();
      }),
  });
  const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => logged.push(fields) };
  server = createServer(engine, { port: 0, apiKeys: [key, "another-key-that-stays"], log: log as never });
  ({ url } = await server.listen());
});
afterAll(() => server.close(0));

interface Answer {
  readonly status: number | undefined;
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
}
type Headers = Record<string, string>;

async function overHttp2(path: string, body: Uint8Array, headers: Headers): Promise<Answer> {
  const session = http2.connect(url);
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  // Whoever sends too much is answered in the middle of it, and told to stop.
  stream.on("error", () => {});
  stream.end(body);
  let trailers: object = {};
  stream.on("trailers", (received) => (trailers = received));
  const [{ ":status": status, ...rest }] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  session.destroy();
  return { status: Number(status), headers: rest, trailers: { ...trailers }, body: Buffer.concat(chunks) };
}

async function overHttp1(path: string, body: Uint8Array, headers: Headers): Promise<Answer> {
  const request = http.request(`${url}${path}`, { method: "POST", headers, agent: false });
  request.on("error", () => {});
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, headers: response.headers, trailers: {}, body: Buffer.concat(chunks) };
}

const getRun = "/everstep.v1.RunService/GetRun";
const startRun = "/everstep.v1.RunService/StartRun";
const get = (runId: string) => toBinary(GetRunRequestSchema, create(GetRunRequestSchema, { runId }));
const start = (bytes: number) =>
  toBinary(
    StartRunRequestSchema,
    create(StartRunRequestSchema, { workflow: "w", input: { data: { case: "json", value: "x".repeat(bytes) } } }),
  );
const plain = (type: string): Headers => ({ "content-type": type, te: "trailers", authorization: `Bearer ${key}` });

/** Without the time, and without the id of a bug that is logged. */
function comparable({ status, headers, trailers, body }: Answer) {
  const { date: _date, ...others } = headers;
  const outcome = { ...trailers };
  const isBug = /an( |%20)error( |%20)inside/.test(`${body} ${outcome["grpc-message"]}`);
  if (!isBug) return { status, headers: others, outcome, body };
  return { status, headers: others, isBug };
}

const cases: [string, string, Uint8Array, Headers][] = [
  ["to a call", getRun, get("run-1"), {}],
  ["to a large answer", getRun, get("large"), {}],
  ["to a refusal of the engine", getRun, get("other"), {}],
  ["to a field that is missing", getRun, get(""), {}],
  ["to an empty message", getRun, new Uint8Array(0), {}],
  ["to bytes that are no message", getRun, new Uint8Array([10, 200, 1]), {}],
  ["to a text that is no UTF-8", getRun, new Uint8Array([18, 1, 255]), {}],
  ["to a message above the limit", startRun, start(8 * 1024 * 1024), {}],
  ["to a bug", getRun, get("bug"), {}],
  ["to a time that is none", getRun, get("run-1"), { "connect-timeout-ms": "soon", "grpc-timeout": "1year" }],
  ["to a time that is far away", getRun, get("run-1"), { "connect-timeout-ms": "60000", "grpc-timeout": "60S" }],
];
const connectCases: typeof cases = [
  ...cases,
  ["to one that says it is not compressed", getRun, get("run-1"), { "content-encoding": "identity" }],
  ["to a large answer that may be compressed", getRun, get("large"), { "accept-encoding": "br, gzip" }],
  ["to a large answer in a compression of others", getRun, get("large"), { "accept-encoding": "br" }],
  ["to a small answer that may be compressed", getRun, get("run-1"), { "accept-encoding": "gzip" }],
];
function framed(message: Uint8Array, flags = 0, bytes = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes, 1);
  return Buffer.concat([head, message]);
}
const grpcCases: typeof cases = [
  ...cases.map(([what, path, body, headers]): (typeof cases)[0] => [what, path, framed(body), headers]),
  ["to one that says it is not compressed", getRun, framed(get("run-1")), { "grpc-encoding": "identity" }],
  ["to a large answer that may be compressed", getRun, framed(get("large")), { "grpc-accept-encoding": "br, gzip" }],
  ["to a small answer that may be compressed", getRun, framed(get("run-1")), { "grpc-accept-encoding": "gzip" }],
  ["to no message", getRun, new Uint8Array(0), {}],
  ["to two messages", getRun, Buffer.concat([framed(get("run-1")), framed(get("run-1"))]), {}],
  ["to a message that ends too early", getRun, framed(get("run-1"), 0, 100), {}],
  ["to half a head", getRun, new Uint8Array([0, 0]), {}],
  ["to a message that is compressed without a word of how", getRun, framed(get("run-1"), 1), {}],
];

describe.each([
  ["Connect over HTTP/2", overHttp2, "application/proto", connectCases],
  ["Connect over HTTP/1.1", overHttp1, "application/proto", connectCases],
  ["gRPC", overHttp2, "application/grpc", grpcCases],
] as const)("over %s the answer is the one of Connect's handler", (_protocol, call, type, all) => {
  test.each(all)("%s", async (_what, path, body, headers) => {
    logged.length = 0;
    const lean = await call(path, body, { ...plain(type), ...headers });
    const bugs = logged.length;
    // Connect takes a content type in capitals for the same, too.
    const connects = await call(path, body, { ...plain(type.toUpperCase()), ...headers });
    expect(comparable(lean)).toEqual(comparable(connects));
    expect(logged).toHaveLength(2 * bugs);
  });
});

test("whoever sends without end is answered, and no more of it is read", async () => {
  const session = http2.connect(url);
  const stream = session.request({ ":method": "POST", ":path": startRun, ...plain("application/proto") });
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  const push = () => {
    do sent += chunk.length;
    while (stream.write(chunk));
  };
  stream.on("error", () => {});
  stream.on("drain", push);
  push();
  const [{ ":status": status }] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  expect(Number(status)).toBe(429);
  // What the server reads it would have read and asked for more between these.
  for (let pings = 0; pings < 20; pings++) await new Promise((resolve) => session.ping(resolve));
  // A message, and the window of a stream.
  expect(sent).toBeLessThan((8 + 2) * 1024 * 1024);
  session.destroy();
});

test("over HTTP/1.1 whoever announces too much is answered before it is read", async () => {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.setEncoding("utf8");
  const head = [`POST ${startRun} HTTP/1.1`, "host: localhost", "content-length: 20000000"];
  for (const [name, value] of Object.entries(plain("application/proto"))) head.push(`${name}: ${value}`);
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  const [answer] = await once(socket, "data");
  expect(answer).toMatch(/^HTTP\/1\.1 429 /);
  socket.destroy();
});

test("the calls that wait are those that take a context", () => {
  const services = [
    serviceOf(RunService, createRunService(fakeEngine())),
    serviceOf(LeaseService, createLeaseService(fakeEngine())),
  ];
  const waiting = services.flatMap(({ methods }) => methods).filter(({ waits }) => waits);
  expect(waiting.map(({ name }) => name)).toEqual([
    "everstep.v1.RunService/WaitRun",
    "everstep.v1.LeaseService/AcquireLease",
  ]);
});

describe("a call that waits", () => {
  const wait = (headers: Headers, signal?: AbortSignal) => {
    waiting = Promise.withResolvers();
    const client = createClient(RunService, createConnectTransport({ baseUrl: url, httpVersion: "2" }));
    return client.waitRun({ runId: "run-1" }, { headers, ...(signal === undefined ? {} : { signal }) });
  };
  const errorOf = (call: Promise<unknown>) =>
    call.then(
      () => expect.fail("it was answered"),
      (error: unknown) => ConnectError.from(error),
    );

  test("ends when its caller has gone", async () => {
    const gone = new AbortController();
    const call = errorOf(wait({ authorization: `Bearer ${key}` }, gone.signal));
    await waiting.promise;
    const signal = waits.at(-1) as AbortSignal;
    expect(signal.aborted).toBe(false);
    const aborted = once(signal, "abort");
    gone.abort();
    await aborted;
    expect((await call).code).toBe(Code.Canceled);
  });

  test("says so when its key is revoked", async () => {
    const call = errorOf(wait({ authorization: `Bearer ${key}` }));
    await waiting.promise;
    server.setApiKeys(["another-key-that-stays"]);
    expect((await call).code).toBe(Code.Unauthenticated);
  });
});
