import { execFile } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { join } from "node:path";
import { promisify } from "node:util";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import grpc from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { newEvent } from "../../src/core/decision.ts";
import { EngineError, refuse } from "../../src/core/errors.ts";
import type { Engine } from "../../src/engine/api.ts";
import { createServer, type EverstepServer, type ServerOptions } from "../../src/server/server.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/ts/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/ts/grpc/reflection/v1alpha/reflection_pb.ts";
import { fakeEngine, idleStatus, someRun } from "./fake-engine.ts";

const key = "the-key-of-the-test";
const servers: EverstepServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(0);
});

async function start(parts: Partial<Engine> = {}, options: ServerOptions = {}) {
  const server = createServer(fakeEngine(parts), { port: 0, ...options });
  servers.push(server);
  const { url, port } = await server.listen();
  return { server, url, port };
}

const transports: [string, (baseUrl: string) => Transport][] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  ["Connect over HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect with JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
];

async function errorOf(promise: Promise<unknown>): Promise<ConnectError> {
  try {
    await promise;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("it succeeded");
}

async function get(url: string, headers: http.OutgoingHttpHeaders = {}, method = "GET") {
  const request = http.request(url, { headers, method, agent: false });
  request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let body = "";
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode, headers: response.headers, body };
}

describe("a call over each protocol", () => {
  for (const [name, transport] of transports) {
    test(`${name}: answer, refusal with its details, bad field, bug, watch`, async () => {
      const logged: object[] = [];
      const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => logged.push(fields) };
      const { url } = await start(
        {
          async getRun({ runId }) {
            if (runId === "run-1") return someRun;
            if (runId === "bug") throw new Error("secret");
            throw new EngineError(refuse("RUN_NOT_FOUND", "there is no such run", { field: "run_id" }));
          },
          async *watchRun(_ref, { afterSeq }) {
            yield [newEvent("RunResumed", afterSeq + 1, 1, undefined)];
          },
        },
        { log: log as never },
      );
      const client = createClient(RunService, transport(url));
      const { run } = await client.getRun({ runId: "run-1" });
      expect(run).toMatchObject({ runId: "run-1", lastSeq: 9n });

      const missing = await errorOf(client.getRun({ runId: "other" }));
      expect(missing.code).toBe(Code.NotFound);
      expect(missing.rawMessage).toBe("there is no such run");
      expect(missing.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "RUN_NOT_FOUND", domain: "everstep.v1" }]);

      const invalid = await errorOf(client.getRun({}));
      expect(invalid.code).toBe(Code.InvalidArgument);
      expect(invalid.rawMessage).toBe("run_id is missing");

      const bug = await errorOf(client.getRun({ runId: "bug" }));
      expect(bug.code).toBe(Code.Internal);
      expect(bug.message).not.toContain("secret");
      expect(logged).toHaveLength(1);

      const seqs: bigint[] = [];
      for await (const { events } of client.watchRun({ runId: "run-1", afterSeq: 4n })) {
        for (const event of events) seqs.push(event.seq);
      }
      expect(seqs).toEqual([5n]);
    });
  }

  test("a caller that goes away aborts what it waits for", async () => {
    const aborted = Promise.withResolvers<void>();
    const { url } = await start({
      acquireLease: (_request, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted.resolve();
            reject(signal.reason);
          });
        }),
    });
    const client = createClient(LeaseService, createGrpcTransport({ baseUrl: url }));
    const call = client.acquireLease({ workerId: "w", waitMs: 60_000n }, { timeoutMs: 100 });
    expect((await errorOf(call)).code).toBe(Code.DeadlineExceeded);
    await aborted.promise;
  });

  test("a batch of starts refuses each for itself", async () => {
    const { url } = await start({
      startRuns: async (starts) =>
        starts.map((start, index) =>
          start.runId === "taken"
            ? refuse("RUN_EXISTS", "exists", { field: "run_id", runId: "taken" })
            : { kind: "started", runId: start.runId, runNo: index, already: false },
        ),
    });
    const client = createClient(RunService, createGrpcTransport({ baseUrl: url }));
    const workflow = "w";
    const runs = [{ runId: "a", workflow }, { runId: "b" }, { runId: "taken", workflow }, { runId: "c", workflow }];
    const { results } = await client.startRuns({ runs });
    expect(results.map(({ result }) => result.value)).toMatchObject([
      { runId: "a" },
      { reason: "INVALID", field: "workflow" },
      { reason: "RUN_EXISTS", runId: "taken" },
      { runId: "c" },
    ]);
  });

  test("a message above the limit is refused", async () => {
    const { url } = await start();
    const client = createClient(RunService, createGrpcTransport({ baseUrl: url }));
    const value = `"${"x".repeat(9 * 1024 * 1024)}"`;
    const error = await errorOf(client.startRun({ workflow: "w", input: { data: { case: "json", value } } }));
    expect(error.code).toBe(Code.ResourceExhausted);
  });
});

describe("who may call", () => {
  test("beyond loopback a key is needed, or the word for doing without", async () => {
    expect(() => createServer(fakeEngine(), { host: "0.0.0.0" })).toThrow(/--insecure-listen/);
    expect(() => createServer(fakeEngine(), { host: "0.0.0.0", apiKeys: [] })).toThrow(/API key/);
    createServer(fakeEngine(), { host: "0.0.0.0", insecureListen: true });
    createServer(fakeEngine(), { host: "0.0.0.0", apiKeys: [key] });
  });

  test("a hostile Host or Origin gets 403, and a malformed one harms nobody", async () => {
    const { url } = await start();
    expect((await get(`${url}/healthz`)).status).toBe(200);
    expect((await get(`${url}/healthz`, { host: "evil.com" })).status).toBe(403);
    expect((await get(`${url}/healthz`, { origin: "http://evil.com" })).status).toBe(403);
    const path = `${url}/everstep.v1.RunService/GetRun`;
    for (const host of ["a b", "[", "localhost:99999999", "%00"]) expect((await get(path, { host })).status).toBe(403);
    expect((await get(`${url}/healthz`)).status).toBe(200);
  });

  test("pages of an allowed origin may ask and read", async () => {
    const origin = "https://console.example.com";
    const { url } = await start({}, { allowedOrigins: [origin] });
    const preflight = await get(`${url}/everstep.v1.RunService/GetRun`, { origin }, "OPTIONS");
    expect(preflight.status).toBe(204);
    expect(preflight.headers["access-control-allow-origin"]).toBe(origin);
    expect(preflight.headers["access-control-allow-headers"]).toContain("authorization");
  });

  for (const [name, transport] of transports) {
    test(`${name}: every service asks for the key`, async () => {
      const { url } = await start({ getRun: async () => someRun }, { apiKeys: [key] });
      const client = createClient(RunService, transport(url));
      for (const headers of [{}, { authorization: "Bearer not-the-key" }]) {
        const error = await errorOf(client.getRun({ runId: "run-1" }, { headers }));
        expect(error.code).toBe(Code.Unauthenticated);
        expect(error.message).not.toContain("not-the-key");
      }
      const health = createClient(Health, transport(url));
      expect((await errorOf(health.check({}))).code).toBe(Code.Unauthenticated);
      const headers = { authorization: `Bearer ${key}` };
      expect((await client.getRun({ runId: "run-1" }, { headers })).run?.runId).toBe("run-1");
      expect((await health.check({}, { headers: { "x-api-key": key } })).status).toBe(Status.SERVING);
    });
  }

  test("gRPC tells the reason too", async () => {
    const { url } = await start({}, { apiKeys: [key] });
    const error = await errorOf(createClient(Health, createGrpcTransport({ baseUrl: url })).check({}));
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "UNAUTHENTICATED" }]);
  });

  test("a refusal over gRPC is headers that end the stream, the only kind whose status counts", async () => {
    const { url } = await start({}, { apiKeys: [key] });
    const session = http2.connect(url);
    try {
      const stream = session.request({
        ":method": "POST",
        ":path": "/everstep.v1.WorkerService/Session",
        "content-type": "application/grpc",
      });
      const [headers, flags] = (await once(stream, "response")) as [http2.IncomingHttpHeaders, number];
      expect(headers["grpc-status"]).toBe(String(Code.Unauthenticated));
      expect(flags & http2.constants.NGHTTP2_FLAG_END_STREAM).toBe(http2.constants.NGHTTP2_FLAG_END_STREAM);
    } finally {
      session.destroy();
    }
  });

  test("reflection asks for the key", async () => {
    const { url } = await start({}, { apiKeys: [key] });
    await expect(ask(createGrpcTransport({ baseUrl: url }), [{ case: "listServices", value: "" }])).rejects.toThrow(
      /unauthenticated/,
    );
  });

  test("probes are open, metrics are not", async () => {
    const { url } = await start({}, { apiKeys: [key] });
    expect((await get(`${url}/healthz`)).status).toBe(200);
    expect((await get(`${url}/readyz`)).status).toBe(200);
    expect((await get(`${url}/metrics`)).status).toBe(401);
    expect((await get(`${url}/metrics`, { authorization: `Bearer ${key}` })).status).toBe(200);
  });

  test("a revoked key ends its streams and waits", async () => {
    const { url, server } = await start(
      {
        waitRun: (_ref, { signal }) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", () => resolve({ run: someRun, timedOut: true }));
          }),
      },
      { apiKeys: [key, "another-key-that-stays"] },
    );
    const transport = createGrpcTransport({ baseUrl: url });
    const headers = { authorization: `Bearer ${key}` };
    const seen: Status[] = [];
    const first = Promise.withResolvers<void>();
    const watch = (async () => {
      for await (const { status } of createClient(Health, transport).watch({}, { headers })) {
        seen.push(status);
        first.resolve();
      }
    })();
    const wait = createClient(RunService, transport).waitRun({ runId: "run-1" }, { headers });
    const outcomes = Promise.all([errorOf(watch), errorOf(wait)]);
    await first.promise;
    await new Promise((resolve) => setTimeout(resolve, 50));
    server.setApiKeys(["another-key-that-stays"]);
    expect((await outcomes).map(({ code }) => code)).toEqual([Code.Unauthenticated, Code.Unauthenticated]);
    expect(seen).toEqual([Status.SERVING]);
  });
});

test("a revoked key ends also a stream that waits for its caller", async () => {
  const { url, server } = await start({}, { apiKeys: [key] });
  const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: url }));
  async function* requests() {
    yield { messageRequest: { case: "listServices" as const, value: "" } };
    await new Promise(() => {});
  }
  const answers = client.serverReflectionInfo(requests(), { headers: { "x-api-key": key } })[Symbol.asyncIterator]();
  expect((await answers.next()).value?.messageResponse.case).toBe("listServicesResponse");
  server.setApiKeys([]);
  await expect(answers.next()).rejects.toThrow();
});

describe("plain HTTP", () => {
  test("banner, 404, 405", async () => {
    const { url } = await start();
    expect((await get(`${url}/`)).body).toContain("Everstep");
    const missing = await get(`${url}/nothing/here`);
    expect(missing.status).toBe(404);
    expect(JSON.parse(missing.body)).toMatchObject({ code: "unimplemented" });
    expect((await get(`${url}/healthz`, {}, "POST")).status).toBe(405);
    expect((await get(`${url}/healthz`, {}, "HEAD")).status).toBe(200);
  });
  test("not ready says why", async () => {
    for (const [change, reason] of [
      [{ writer: "full" }, /disk is full/],
      [{ draining: true }, /shutting down/],
    ] as const) {
      const { url } = await start({ status: () => ({ ...idleStatus, ...change }) });
      const ready = await get(`${url}/readyz`);
      expect(ready.status).toBe(503);
      expect(JSON.parse(ready.body).reason).toMatch(reason);
      expect((await get(`${url}/healthz`)).status).toBe(200);
    }
  });
  test("metrics count calls by method and code", async () => {
    const { url } = await start({ getRun: async () => someRun });
    const client = createClient(RunService, createGrpcTransport({ baseUrl: url }));
    await client.getRun({ runId: "run-1" });
    await errorOf(client.getRun({}));
    const { body } = await get(`${url}/metrics`);
    expect(body).toContain('everstep_rpc_total{method="everstep.v1.RunService/GetRun",code="ok"} 1');
    expect(body).toContain('everstep_rpc_total{method="everstep.v1.RunService/GetRun",code="invalid_argument"} 1');
    expect(body).toContain("everstep_commits_total 7");
    expect(body).toContain("everstep_database_bytes 4096");
    expect(body).toContain("process_resident_memory_bytes");
  });
});

describe("health", () => {
  test("follows the engine's status", async () => {
    let draining = false;
    const { url } = await start({ status: () => ({ ...idleStatus, draining }) });
    const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
    expect((await client.check({ service: "everstep.v1.RunService" })).status).toBe(Status.SERVING);
    expect((await errorOf(client.check({ service: "other" }))).code).toBe(Code.NotFound);
    expect(Object.keys((await client.list({})).statuses)).toContain("everstep.v1.LeaseService");
    const seen: Status[] = [];
    for await (const { status } of client.watch({})) {
      seen.push(status);
      if (draining) break;
      draining = true;
    }
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
    for await (const { status } of client.watch({ service: "other" })) {
      expect(status).toBe(Status.SERVICE_UNKNOWN);
      break;
    }
  });
  test("answers grpc-js", async () => {
    const { port } = await start();
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const same = (bytes: Buffer) => bytes;
      client.makeUnaryRequest("/grpc.health.v1.Health/Check", same, same, Buffer.alloc(0), (error, value) =>
        error === null ? resolve(value as Buffer) : reject(error),
      );
    });
    client.close();
    expect([...answer]).toEqual([8, 1]);
  });
});

type Question =
  | { case: "listServices" | "fileByFilename" | "fileContainingSymbol" | "allExtensionNumbersOfType"; value: string }
  | { case: undefined };

async function ask(transport: Transport, questions: Question[], service: typeof ServerReflection = ServerReflection) {
  const client = createClient(service, transport);
  const answers = [];
  async function* requests() {
    for (const messageRequest of questions) yield { host: "h", messageRequest };
  }
  for await (const answer of client.serverReflectionInfo(requests())) answers.push(answer.messageResponse);
  return answers;
}

describe("reflection", () => {
  for (const service of [ServerReflection, ServerReflectionAlpha as unknown as typeof ServerReflection]) {
    test(`${service.typeName} lists services and finds files with their imports`, async () => {
      const { url } = await start();
      const answers = await ask(
        createGrpcTransport({ baseUrl: url }),
        [
          { case: "listServices", value: "*" },
          { case: "fileContainingSymbol", value: "everstep.v1.RunService" },
          { case: "fileContainingSymbol", value: "everstep.v1.RunService.StartRun" },
          { case: "fileContainingSymbol", value: "everstep.v1.Change" },
          { case: "fileContainingSymbol", value: "google.rpc.ErrorInfo" },
          { case: "fileByFilename", value: "everstep/v1/run.proto" },
          { case: "fileByFilename", value: "google/protobuf/duration.proto" },
          { case: "fileContainingSymbol", value: "no.such.Thing" },
          { case: "allExtensionNumbersOfType", value: "everstep.v1.Run" },
          { case: undefined },
        ],
        service,
      );
      const [list, ...files] = answers;
      if (list?.case !== "listServicesResponse") throw new Error("no list");
      const names = list.value.service.map(({ name }) => name);
      expect(names).toEqual([
        "everstep.v1.LeaseService",
        "everstep.v1.RunService",
        "everstep.v1.WorkerService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
      ]);
      for (const answer of files.slice(0, 6)) {
        if (answer.case !== "fileDescriptorResponse") throw new Error(`${answer.case}`);
        const file = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
        // Throws when an import is missing.
        const [asked, ...imports] = file as [FileDescriptorProto];
        createFileRegistry(create(FileDescriptorSetSchema, { file: [...imports, asked] }));
      }
      const codes = files.slice(6).map((answer) => (answer.case === "errorResponse" ? answer.value.errorCode : 0));
      expect(codes).toEqual([Code.NotFound, Code.NotFound, Code.Unimplemented]);
    });
  }

  test("buf curl needs no schema and no flags", async () => {
    const { url } = await start({ getRun: async () => someRun });
    const buf = join(import.meta.dirname, "../../node_modules/.bin/buf");
    const call = [`${url}/everstep.v1.RunService/GetRun`, "-d", '{"run_id":"run-1"}'];
    for (const flags of [[], ["--http2-prior-knowledge"], ["--protocol", "grpc", "--http2-prior-knowledge"]]) {
      const { stdout } = await promisify(execFile)(buf, ["curl", ...flags, ...call]);
      expect(JSON.parse(stdout).run).toMatchObject({ runId: "run-1", status: "RUN_STATUS_FAILED" });
    }
  });
});
