import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { EngineError } from "../../src/core/errors.ts";
import { changeFrom } from "../../src/server/convert/change.ts";
import { helloFrom } from "../../src/server/convert/hello.ts";
import { leaseFrom } from "../../src/server/convert/lease.ts";
import { startFrom, filterFrom } from "../../src/server/convert/start.ts";
import { fitPage, PageTokens } from "../../src/server/page-token.ts";
import * as validate from "../../src/server/validate.ts";
import { ChangeSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import { LeaseSchema } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { RunFilterSchema, StartRunRequestSchema } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { HelloSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";

const bytesMax = 1_000;

function refusalOf(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (error instanceof EngineError) return error.refusal;
    throw error;
  }
  throw new Error("it was accepted");
}

const start = (init: MessageInitShape<typeof StartRunRequestSchema>) => () =>
  startFrom(create(StartRunRequestSchema, { workflow: "w", ...init }), bytesMax);
const change = (init: MessageInitShape<typeof ChangeSchema>["change"]) => () =>
  changeFrom(create(ChangeSchema, { change: init }), bytesMax);
const hello = (init: MessageInitShape<typeof HelloSchema>) => () =>
  helloFrom(create(HelloSchema, { workerInstanceId: "instance", workflows: ["a"], ...init }));
const lease = (init: MessageInitShape<typeof LeaseSchema>) => () =>
  leaseFrom("lease", create(LeaseSchema, { runId: "r", leaseId: new Uint8Array(16), epoch: 1n, ...init }));

/** Nine levels: one too many. */
const deepFailure = Array.from({ length: 8 }).reduce<{ type: string; cause?: object }>(
  (cause) => ({ type: "T", cause }),
  {
    type: "T",
  },
);

const refused: [name: string, run: () => unknown, field: string, text: RegExp][] = [
  ["no workflow", start({ workflow: "" }), "workflow", /is missing/],
  ["long workflow", start({ workflow: "é".repeat(129) }), "workflow", /has 258 bytes, the limit is 256/],
  ["long namespace", start({ namespace: "n".repeat(257) }), "namespace", /the limit is 256/],
  ["long queue", start({ queue: "n".repeat(257) }), "queue", /the limit is 256/],
  ["long run id", start({ runId: "r".repeat(8_193) }), "run_id", /the limit is 8192/],
  ["run id with a newline", start({ runId: "a\nb" }), "run_id", /control character/],
  ["namespace with a NUL", start({ namespace: "a\0b" }), "namespace", /control character/],
  ["workflow with an escape", start({ workflow: "\x1b[2J" }), "workflow", /control character/],
  ["queue with a tab", start({ queue: "a\tb" }), "queue", /control character/],
  ["run key with a NUL", start({ runKey: "a\0b" }), "run_key", /control character/],
  ["request id with a NUL", start({ requestId: "a\0b" }), "request_id", /control character/],
  ["worker with a NUL", hello({ workerInstanceId: "instance\0" }), "worker_instance_id", /control character/],
  ["served workflow with a NUL", hello({ workflows: ["a\0b"] }), "workflows[0]", /control character/],
  ["served queue with a NUL", hello({ queues: ["a\0b"] }), "queues[0]", /control character/],
  ["long run key", start({ runKey: "k".repeat(1_025) }), "run_key", /the limit is 1024/],
  ["priority 10", start({ priority: 10 }), "priority", /is 10, the range is 0 to 9/],
  ["priority -1", start({ priority: -1 }), "priority", /is -1/],
  ["negative delay", start({ startDelayMs: -1n }), "start_delay_ms", /is -1, the range is 0 to 100000000000000/],
  ["endless delay", start({ startDelayMs: 100_000_000_000_001n }), "start_delay_ms", /the range is/],
  ["delay beyond doubles", start({ runTimeoutMs: 9_223_372_036_854_775_807n }), "run_timeout_ms", /the range is/],
  ["long request id", start({ requestId: "q".repeat(257) }), "request_id", /the limit is 256/],
  ["bad json", start({ input: { data: { case: "json", value: "{" } } }), "input.json", /is not a JSON text/],
  ["empty json", start({ input: { data: { case: "json", value: "" } } }), "input.json", /it is empty/],
  [
    "long encoding",
    start({ input: { data: { case: "json", value: "1" }, encoding: "e".repeat(129) } }),
    "input.encoding",
    /the limit is 128/,
  ],
  ["no step key", change({ case: "startStep", value: {} }), "step_key", /is missing/],
  [
    "long step key",
    change({ case: "cancelTimer", value: { stepKey: "s".repeat(1_025) } }),
    "step_key",
    /the limit is 1024/,
  ],
  ["negative attempt", change({ case: "startStep", value: { stepKey: "a", attempt: -1 } }), "attempt", /is -1/],
  ["no failure", change({ case: "failStep", value: { stepKey: "a" } }), "failure", /is missing/],
  [
    "deep failure",
    change({ case: "failRun", value: { failure: deepFailure } }),
    `failure.${"cause.".repeat(7)}cause`,
    /deeper than 8 levels/,
  ],
  [
    "factor that is no number",
    change({ case: "startStep", value: { stepKey: "a", retryPolicy: { factor: Number.NaN } } }),
    "retry_policy.factor",
    /is NaN/,
  ],
  [
    "jitter above 1",
    change({ case: "startStep", value: { stepKey: "a", retryPolicy: { jitter: 1.1 } } }),
    "retry_policy.jitter",
    /the range is 0 to 1/,
  ],
  [
    "unknown back-off",
    change({ case: "startStep", value: { stepKey: "a", retryPolicy: { backoff: 17 as never } } }),
    "retry_policy.backoff",
    /no BackoffKind/,
  ],
  [
    "listed without a list",
    change({ case: "startStep", value: { stepKey: "a", retryPolicy: { backoff: 4 } } }),
    "retry_policy.delays_ms",
    /at least 1/,
  ],
  ["no awaits", change({ case: "suspendRun", value: {} }), "awaits", /at least 1/],
  [
    "an empty await",
    change({ case: "suspendRun", value: { awaits: [{ what: { case: "timer", value: "a" } }, {}] } }),
    "awaits[1].what",
    /is not set/,
  ],
  [
    "a wait's key beside a timer",
    change({ case: "suspendRun", value: { awaits: [{ what: { case: "timer", value: "a" }, stepKey: "w" }] } }),
    "awaits[0].step_key",
    /a signal only/,
  ],
  [
    "a wait's key that is too long",
    change({
      case: "suspendRun",
      value: { awaits: [{ what: { case: "signal", value: "a" }, stepKey: "w".repeat(8_193) }] },
    }),
    "awaits[0].step_key",
    /the limit is/,
  ],
  ["no signal name", change({ case: "consumeSignal", value: { stepKey: "a" } }), "name", /is missing/],
  ["short instance id", hello({ workerInstanceId: "short" }), "worker_instance_id", /at least 8/],
  ["no workflows", hello({ workflows: [] }), "workflows", /at least 1/],
  ["an empty workflow", hello({ workflows: ["a", ""] }), "workflows[1]", /is missing/],
  ["many queues", hello({ queues: Array.from({ length: 101 }, String) }), "queues", /the limit is 100/],
  ["large capacity", hello({ capacity: 100_001 }), "capacity", /the range is 0 to 100000/],
  ["held without a lease", hello({ held: [{}] }), "held[0].lease", /is missing/],
  ["short lease id", lease({ leaseId: new Uint8Array(15) }), "lease.lease_id", /15 bytes instead of 16/],
  ["epoch 0", lease({ epoch: 0n }), "lease.epoch", /the range is 1/],
  ["lease without a run", lease({ runId: "" }), "lease.run_id", /is missing/],
  ["page size -1", () => validate.checkPageSize(-1), "page_size", /the range is 1 to 1000/],
  ["page size 1001", () => validate.checkPageSize(1_001), "page_size", /the range is 1 to 1000/],
  ["lease ttl 999", () => validate.checkLeaseTtl(999n), "lease_ttl_ms", /the range is 1000 to 86400000/],
  ["unknown status", () => filterFrom(create(RunFilterSchema, { statuses: [0] })), "statuses[0]", /no RunStatus/],
];

describe("refused with the field and the limit", () => {
  for (const [name, run, field, text] of refused) {
    test(name, () => {
      const refusal = refusalOf(run);
      expect(refusal.reason).toBe("INVALID");
      expect(refusal.field).toBe(field);
      expect(refusal.message).toMatch(text);
      expect(refusal.message.startsWith(field)).toBe(true);
      expect(refusal.message.length).toBeLessThan(400);
    });
  }
  test("a payload above the limit", () => {
    const json = start({ input: { data: { case: "json", value: `"${"é".repeat(500)}"` } } });
    expect(refusalOf(json)).toMatchObject({ reason: "PAYLOAD_TOO_LARGE", field: "input" });
    expect(refusalOf(json).message).toBe("input has 1002 bytes, the limit is 1000");
    const bytes = start({ input: { data: { case: "bytes", value: new Uint8Array(1_001) } } });
    expect(refusalOf(bytes)).toMatchObject({ reason: "PAYLOAD_TOO_LARGE" });
  });
});

describe("accepted", () => {
  test("defaults", () => {
    expect(start({})()).toEqual({
      namespace: "default",
      runId: "",
      workflow: "w",
      queue: "default",
      runKey: "",
      priority: 5,
      input: undefined,
      startDelayMs: 0,
      runTimeoutMs: 0,
      requestId: "",
    });
    expect(start({ priority: 0 })().priority).toBe(0);
    expect(validate.checkPageSize(0)).toBe(100);
    expect(validate.checkLeaseTtl(0n)).toBe(0);
    expect(validate.checkGrace(undefined)).toBe(30_000);
    expect(validate.checkGrace(0n)).toBe(0);
  });
  for (const runId of ["__proto__", "../x", "👩‍🚀", "a b", "%00", "constructor", "r".repeat(8_192)]) {
    test(`run id ${JSON.stringify(runId.slice(0, 20))}`, () => expect(start({ runId })().runId).toBe(runId));
  }
  test("limits are inclusive", () => {
    expect(start({ workflow: "é".repeat(128) })().workflow).toHaveLength(128);
    expect(start({ startDelayMs: 100_000_000_000_000n })().startDelayMs).toBe(1e14);
    expect(start({ input: { data: { case: "bytes", value: new Uint8Array(1_000) } } })().input?.data).toHaveLength(
      1_000,
    );
  });
});

describe("page tokens", () => {
  const tokens = new PageTokens("runs", { queue: "q" });
  test("come back as they went", () => {
    const watch = new PageTokens("watch", { queue: "q" });
    expect(watch.read(watch.write(5, 7))).toEqual([5, 7]);
    expect(tokens.read(tokens.write(0))).toEqual([0]);
    expect(tokens.read("")).toBeUndefined();
  });
  const bad = ["x", "!!", new PageTokens("steps", { queue: "q" }).write(1), "a".repeat(999)];
  const places = [[-1], [-0, 1], [1.5], [2 ** 53], [], [1, 2]].map((place) => tokens.write(...place));
  const texts = ["null", "{}", "[]", '["runs"]', "[1]", '["1","x"]', "[1,2]"].map((text) =>
    Buffer.from(text).toString("base64url"),
  );
  for (const token of [...bad, ...places, ...texts]) {
    test(`${token.slice(0, 30)} is refused`, () => {
      expect(refusalOf(() => tokens.read(token))).toMatchObject({ reason: "BAD_PAGE_TOKEN", field: "page_token" });
    });
  }
  test("a page that is too large is cut, but never to nothing", () => {
    const items = [3_000_000, 10, 10];
    expect(fitPage({ items, more: false }, (bytes) => bytes)).toEqual({ items: [3_000_000], more: true });
    expect(fitPage({ items: [1, 2], more: false }, (bytes) => bytes)).toEqual({ items: [1, 2], more: false });
  });
});
