import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { mayRepeat } from "../../clients/typescript/src/calls.ts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fullJitterMs, reconnectBackoff } from "../../clients/typescript/src/backoff.ts";
import { decodePayload, encodePayload, encodeWithin, jsonCodec } from "../../clients/typescript/src/codec.ts";
import {
  CancelledError,
  InvalidArgumentError,
  NonRetryableError,
  PayloadTooLargeError,
  RetryAfterError,
  StepFailedError,
} from "../../clients/typescript/src/errors.ts";
import { carriesCancel, failedSteps, toError, toFailure, toFailureInfo } from "../../clients/typescript/src/failure.ts";
import { Journal } from "../../clients/typescript/src/replay/journal.ts";
import { checkKey, StepKeys } from "../../clients/typescript/src/replay/keys.ts";
import { Reconnect } from "../../clients/typescript/src/reconnect.ts";
import { toRetryPolicy } from "../../clients/typescript/src/retry-options.ts";
import { FailureSchema } from "../../gen/ts/everstep/v1/failure_pb.ts";
import { BackoffKind } from "../../gen/ts/everstep/v1/retry_policy_pb.ts";
import { completed, entry } from "./peer.ts";

describe("step keys", () => {
  test("end in no counter", () => {
    for (const key of ["a#1", "#22", "x#0"]) {
      expect(() => checkKey("step key", key)).toThrow(InvalidArgumentError);
    }
    for (const key of ["a", "a#", "a#b", "42", "a#1b"]) expect(() => checkKey("step key", key)).not.toThrow();
    for (const key of ["", 5, undefined]) expect(() => checkKey("step key", key)).toThrow(InvalidArgumentError);
  });

  test("are unique for every use", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "b", "c")), (bases) => {
        const keys = new StepKeys();
        const claimed = bases.map((base) => {
          const key = keys.claim(base);
          keys.release(base);
          return key;
        });
        expect(new Set(claimed).size).toBe(claimed.length);
        expect(new Set(keys.list())).toEqual(new Set(claimed));
      }),
    );
  });

  test("in use are ambiguous", () => {
    const keys = new StepKeys();
    keys.claim("a");
    expect(() => keys.claim("a")).toThrow(expect.objectContaining({ reason: "AMBIGUOUS_STEP_KEY" }));
  });
});

describe("journal", () => {
  test("hands results over in the recorded order, and lets go of what nobody asks for", () => {
    const deferred: (() => void)[] = [];
    const journal = new Journal((run) => deferred.push(run));
    journal.add([completed("skipped", 0), completed("b", 2), completed("a", 1)]);
    const handed: string[] = [];
    journal.deliver("a", () => handed.push("a"));
    journal.deliver("b", () => handed.push("b"));
    expect([handed, journal.replaying]).toEqual([[], true]);
    while (deferred.length > 0) deferred.shift()?.();
    expect([handed, journal.replaying]).toEqual([["b", "a"], false]);
  });

  test("a result stays, anything else gives way", () => {
    const journal = new Journal(() => {});
    journal.add([entry("a", { case: "started", value: { attempt: 1 } }), completed("a", 1)]);
    journal.add([entry("a", { case: "retrying", value: { attempt: 1 } })]);
    expect(journal.find("a")?.case).toBe("completed");
  });
});

describe("codec", () => {
  test("reads back what JSON can say", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const back = decodePayload(jsonCodec, encodePayload(jsonCodec, value));
        expect(back).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test("undefined is no payload, null is one, bytes stay bytes", () => {
    expect(encodePayload(jsonCodec, undefined)).toBeUndefined();
    expect(encodePayload(jsonCodec, null)?.data).toEqual({ case: "json", value: "null" });
    const bytes = new Uint8Array([1, 2]);
    expect(decodePayload(jsonCodec, encodePayload(jsonCodec, bytes))).toEqual(bytes);
  });

  test("counts bytes, and an unreadable value is a named error", () => {
    expect(() => encodeWithin(jsonCodec, "ä".repeat(10), () => "it", 20)).toThrow(PayloadTooLargeError);
    expect(() => encodePayload(jsonCodec, 1n)).toThrow(expect.objectContaining({ reason: "PAYLOAD_CODEC" }));
    const label = { $typeName: "everstep.v1.Payload", encoding: "zip", data: { case: "json", value: "1" } } as const;
    expect(() => decodePayload(jsonCodec, label)).toThrow(expect.objectContaining({ reason: "PAYLOAD_CODEC" }));
  });

  test.each([
    ["a promise", Promise.resolve({ json: "1" })],
    ["an object for JSON", { json: { a: 1 } }],
    ["a text for bytes", { bytes: "ab" }],
    ["a label that is no text", { json: "1", encoding: 7 }],
  ])("a codec that gives %s is told so, and nothing is sent", (_what, encoded) => {
    const codec = { ...jsonCodec, encode: () => encoded as never };
    expect(() => encodePayload(codec, 1)).toThrow(expect.objectContaining({ reason: "PAYLOAD_CODEC" }));
  });
});

describe("failures", () => {
  function boom(): never {
    throw new Error("not to be read");
  }
  test("keep type, causes and details both ways", () => {
    const error = Object.assign(new RangeError("outer", { cause: new TypeError("inner") }), { details: { a: 1 } });
    const back = toError(toFailureInfo(toFailure(error)));
    expect(back).toMatchObject({ type: "RangeError", message: "outer", details: { a: 1 } });
    expect(back.cause).toMatchObject({ type: "TypeError", message: "inner" });
  });

  test("are at most eight deep, even for a cause that contains itself", () => {
    const error = new Error("loop");
    error.cause = error;
    let depth = 0;
    for (let failure = toFailure(error) as { cause?: unknown } | undefined; failure; depth += 1) {
      failure = failure.cause as typeof failure;
    }
    expect(depth).toBe(8);
  });

  test("anything may be thrown", () => {
    for (const thrown of [undefined, null, 0, "text", { a: 1 }, Symbol("s"), () => {}]) {
      expect(typeof toFailure(thrown).message).toBe("string");
    }
    expect(toFailure(new RetryAfterError("later", 1_500)).retryAfterMs).toBe(1_500n);
  });

  test("text is cut to the bytes that the server takes, between two characters", () => {
    const error = Object.assign(new Error(`a${"\u20ac".repeat(10_000)}`), { name: "\u{1f600}".repeat(100) });
    const { type, message, stack } = toFailure(error);
    expect(message).toBe(`a${"\u20ac".repeat(5_461)}`);
    expect(type).toBe("\u{1f600}".repeat(64));
    expect(Buffer.byteLength(stack)).toBeLessThanOrEqual(8_192);
    expect(toFailure(new Error("\u20ac".repeat(5_461))).message).toHaveLength(5_461);
  });

  test.each<[string, object]>([
    ["a stack that is no text", { stack: ["a", "b"] }],
    ["a message that is no text", { message: { a: 1 } }],
    ["a message without a prototype", { message: Object.assign(Object.create(null), { self: 1n }) }],
    ["a name that is no text", { name: 7 }],
    ["a type that is no text", Object.assign(new NonRetryableError("x"), { type: Symbol("s") })],
    ["details that cannot be read", Object.defineProperty(new Error("x"), "details", { get: boom })],
    ["a cause that cannot be read", Object.defineProperty(new Error("x"), "cause", { get: boom })],
    ["a mark that cannot be read", Object.defineProperty(new Error("x"), "nonRetryable", { get: boom })],
    ["a delay that no clock has", new RetryAfterError("later", Number.MAX_VALUE)],
  ])("%s can be sent", (_what, odd) => {
    const failure = toFailure(odd instanceof Error ? odd : Object.assign(new Error("x"), odd));
    expect(() => toBinary(FailureSchema, failure)).not.toThrow();
    expect(failure.retryAfterMs).toBeLessThanOrEqual(100_000_000_000_000n);
  });

  test("name the steps and the cancel that they carry", () => {
    const info = toFailureInfo(toFailure(new Error("x")));
    const carried = new AggregateError([new StepFailedError("a", 1, info), new StepFailedError("b", 1, info)]);
    expect(failedSteps(new Error("outer", { cause: carried }))).toEqual(["a", "b"]);
    expect(carriesCancel(new Error("outer", { cause: new CancelledError("r") }))).toBe(true);
    expect(carriesCancel(carried)).toBe(false);
  });
});

test("full jitter stays within its exponential bound", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (failures, chance) => {
        const delayMs = fullJitterMs(failures, reconnectBackoff, () => chance);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(Math.min(30_000, 200 * 2 ** (failures - 1)));
      },
    ),
  );
});

test("the pause before a new stream grows to its cap, begins anew after a Welcome, and renews the connection", () => {
  let renewals = 0;
  const reconnect = new Reconnect({ random: () => 1, renewTransport: () => (renewals += 1) });
  const pauses = Array.from({ length: 10 }, () => reconnect.nextDelayMs(false));
  expect(pauses).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
  expect(renewals).toBe(3);
  expect(reconnect.nextDelayMs(true)).toBe(60_000);
  reconnect.succeeded();
  expect(reconnect.nextDelayMs(false)).toBe(200);
});

test("retry options become a policy; at most once means one attempt unless the code says otherwise", () => {
  expect(toRetryPolicy(undefined, false)).toBeUndefined();
  expect(toRetryPolicy(undefined, true)?.maxAttempts).toBe(1);
  expect(toRetryPolicy({ delaysMs: [1, 2.5] }, false)).toMatchObject({
    backoff: BackoffKind.LISTED,
    delaysMs: [1n, 3n],
  });
});

test("a call whose connection is gone is repeated, one that was refused is not", () => {
  expect(mayRepeat(new ConnectError("stream closed with error code CANCEL", Code.Canceled))).toBe(true);
  expect(mayRepeat(new ConnectError("nobody listens", Code.Unavailable))).toBe(true);
  expect(mayRepeat(new ConnectError("no such run", Code.NotFound))).toBe(false);
});
