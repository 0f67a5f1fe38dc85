import http2 from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { InvalidArgumentError } from "commander";
import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import {
  type FrameRefused,
  HelloSchema,
  type ServerFrame,
  SessionRequestSchema,
  SessionResponseSchema,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { parseDuration, parseInteger, parseListen } from "../../src/cli/duration.ts";
import { createEngine, createServer } from "../../src/index.ts";
import { assertCases, times } from "./cases.ts";

// Whatever comes from outside is a value or a refusal, never a fault of the server. fast-check prints the seed and the
// path of a failure; both can be given back to it.

let url: string;
let stop: () => Promise<void>;
beforeAll(async () => {
  const engine = await createEngine({ path: ":memory:" });
  const server = createServer(engine, { port: 0 });
  ({ url } = await server.listen());
  stop = async () => {
    await server.close(100);
    await engine.stop();
  };
});
afterAll(() => stop());

test("what the command line reads is a value or a usage error", () => {
  const text = fc.oneof(
    fc.string(),
    fc.stringMatching(/^-?[0-9]{1,20}(ms|s|m|h|d)?$/),
    fc.stringMatching(/^\[?[0-9a-z:.%-]{0,20}\]?:[0-9]{0,7}$/),
  );
  fc.assert(
    fc.property(text, (value) => {
      for (const parse of [parseDuration, parseInteger, parseListen]) {
        try {
          const parsed = parse(value);
          const number = typeof parsed === "number" ? parsed : parsed.port;
          expect(Number.isSafeInteger(number) && (number >= 0 || parse === parseInteger)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidArgumentError);
        }
      }
    }),
    { numRuns: 3_000 },
  );
});

/** Answers that blame the server. */
const faults = new Set(["internal", "unknown", "data_loss"]);

test("a JSON body is carried out or refused with a reason", { timeout: 60_000 * times }, async () => {
  const methods = [
    "StartRun",
    "StartRuns",
    "SignalRun",
    "GetRun",
    "ListRuns",
    "GetRunHistory",
    "CancelRun",
    "RetryRun",
    "WaitRun",
  ];
  const lease = ["AcquireLease", "CompleteStep", "SuspendRun", "CreateTimer", "CompleteRun"];
  const path = fc.oneof(
    fc.constantFrom(...methods).map((name) => `RunService/${name}`),
    fc.constantFrom(...lease).map((name) => `LeaseService/${name}`),
  );
  const names = [
    "workflow",
    "runId",
    "queue",
    "name",
    "pageToken",
    "pageSize",
    "input",
    "lease",
    "stepKey",
    "opId",
    "filter",
    "runs",
    "awaits",
    "waitMs",
    "workerId",
  ];
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom("__proto__", "constructor", "\u0000", "\ud800", "\u202e", "../..", "';--", "x".repeat(9_000)),
    fc.double(),
    fc.integer().map(String),
    fc.constantFrom("9223372036854775807", "-1", "1e400"),
    fc.jsonValue({ maxDepth: 2 }),
    fc.record(
      { runId: fc.string(), leaseId: fc.base64String(), epoch: fc.integer().map(String) },
      { requiredKeys: [] },
    ),
    fc.record({ json: fc.oneof(fc.json(), fc.string()) }),
  );
  const body = fc.oneof(
    fc
      .dictionary(fc.constantFrom(...names), value, { maxKeys: 5 })
      .map((fields) => JSON.stringify({ waitMs: "0", ...fields })),
    fc.json(),
    fc.string(),
    fc.nat({ max: 3_000 }).map((depth) => `${'{"input":'.repeat(depth)}1${"}".repeat(depth)}`),
  );
  await assertCases(
    fc.asyncProperty(path, body, async (method, text) => {
      const headers = { "content-type": "application/json" };
      const signal = AbortSignal.timeout(10_000);
      const response = await fetch(`${url}/everstep.v1.${method}`, { method: "POST", headers, body: text, signal });
      const answer = (await response.json()) as { code?: string };
      expect(response.ok || !faults.has(answer.code ?? "unknown"), `${response.status} ${JSON.stringify(answer)}`).toBe(
        true,
      );
    }),
    // A wait for a run that was just started may be asked for: those are cut short by the call's own limit.
    { numRuns: 400, limitMs: 20_000 },
  );
});

const frameOf = (bytes: Uint8Array, flags = 0, length = bytes.length): Buffer => {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
};

const sessionHeaders = {
  ":method": "POST",
  ":path": "/everstep.v1.WorkerService/Session",
  "content-type": "application/grpc",
  te: "trailers",
};

/** The frames that have come whole. */
function framesIn(body: Buffer): ServerFrame["frame"][] {
  const frames: ServerFrame["frame"][] = [];
  for (let at = 0; at + 5 <= body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    if (end > body.length) break;
    frames.push(fromBinary(SessionResponseSchema, body.subarray(at + 5, end)).frame?.frame ?? { case: undefined });
    at = end;
  }
  return frames;
}

/** What a session that says only this is told. */
async function toldOf(connection: http2.ClientHttp2Session, said: readonly Buffer[], encoding?: string) {
  const more = encoding === undefined ? {} : { "grpc-encoding": encoding };
  const stream = connection.request({ ...sessionHeaders, ...more });
  let status: string | undefined;
  const note = (headers: http2.IncomingHttpHeaders) => {
    status = (headers["grpc-status"] as string | undefined) ?? status;
  };
  const parts: Buffer[] = [];
  stream.on("response", note);
  stream.on("trailers", note);
  stream.on("error", () => {});
  stream.on("data", (part: Buffer) => void parts.push(part));
  for (const part of said) stream.write(part);
  stream.end();
  await new Promise<void>((resolve) => stream.once("close", () => resolve()));
  return { status, resetCode: stream.rstCode, frames: framesIn(Buffer.concat(parts)) };
}

/** The first frame on a new stream of this connection that follows a good Hello. */
async function greeting(connection: http2.ClientHttp2Session): Promise<ServerFrame["frame"] | undefined> {
  const stream = connection.request(sessionHeaders);
  stream.on("error", () => {});
  const value = create(HelloSchema, { protocolVersion: 1, workerInstanceId: "behind-the-frames", workflows: ["w"] });
  const hello = create(SessionRequestSchema, { frame: { frame: { case: "hello", value } } });
  stream.write(frameOf(toBinary(SessionRequestSchema, hello)));
  const parts: Buffer[] = [];
  for await (const part of stream) {
    parts.push(part as Buffer);
    const [first] = framesIn(Buffer.concat(parts));
    if (first !== undefined) return first;
  }
  return undefined;
}

/**
 * A session is answered in-band: its reason is a FrameRefused behind which the stream ends with status 0. So no other
 * status and no reset code takes the place of a reason, and a stream that only ends has given none.
 */
function expectReason({ status, resetCode, frames }: Awaited<ReturnType<typeof toldOf>>): void {
  expect({ status, resetCode }).toEqual({ status: "0", resetCode: 0 });
  expect(frames.map((frame) => frame.case)).toEqual(["frameRefused"]);
  const { reason, message } = (frames[0] as { value: FrameRefused }).value;
  expect([ErrorReason.PROTOCOL, ErrorReason.PAYLOAD_TOO_LARGE]).toContain(reason);
  expect(message).not.toBe("");
}

test("frames of any bytes end a session with a reason, and the next one is greeted", {
  timeout: 60_000 * times,
}, async () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  const length = fc.oneof(
    { weight: 6, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.nat({ max: 300 }) },
    { weight: 1, arbitrary: fc.nat({ max: 0xffff_ffff }) },
  );
  const frame = fc.tuple(bytes, fc.constantFrom(0, 0, 0, 1, 2, 255), length).map((parts) => frameOf(...parts));
  const said = fc.record({
    frames: fc.array(frame, { minLength: 1, maxLength: 4 }),
    encoding: fc.constantFrom(undefined, "identity", "gzip", "br", "unknown", "gzip,br", ""),
  });
  const connection = http2.connect(url);
  connection.on("error", () => {});
  await assertCases(
    fc.asyncProperty(said, async ({ frames, encoding }) => {
      const told = await toldOf(connection, frames, encoding);
      expectReason(told);
      expect(connection.destroyed).toBe(false);
    }),
    { numRuns: 300, limitMs: 20_000 },
  );
  expect(await greeting(connection)).toMatchObject({ case: "welcome" });
  connection.close();
});

// Each came to its end without a word once, because Connect tells of it as a fault of the server's, or not at all.
test.each([
  ["a compressed frame on a stream that named no compression", frameOf(Buffer.alloc(1), 1), undefined],
  ["a compressed frame on a stream of an unknown compression", frameOf(Buffer.alloc(1), 1), "unknown"],
  ["a compressed frame that is not compressed", frameOf(Buffer.alloc(1), 1), "gzip"],
  ["the head of a frame and nothing of its content", frameOf(Buffer.alloc(0), 0, 1), undefined],
])("%s ends a session with a reason", async (_name, frame, encoding) => {
  const connection = http2.connect(url);
  try {
    expectReason(await toldOf(connection, [frame], encoding));
  } finally {
    connection.close();
  }
});
