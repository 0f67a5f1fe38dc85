import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leanRequest, leanSession, framesOf } from "../../clients/typescript/src/session-wire/lean-session.ts";
import { encodeOps } from "../../clients/typescript/src/session-wire/op-writer.ts";
import { decodeResults } from "../../clients/typescript/src/session-wire/result-reader.ts";
import { type Op, OpSchema, type OpResult, OpResultSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import {
  type OpResults,
  OpResultsSchema,
  OpsSchema,
  type ServerFrame,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
  WorkerFrameSchema,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { messageOf } from "../hostile/messages.ts";

// What the SDK writes and reads by hand, against the library.

const texts = fc.oneof(
  fc.constantFrom(
    "",
    "a",
    "charge card",
    "x".repeat(63),
    "x".repeat(64),
    "x".repeat(127),
    "x".repeat(128),
    "ü".repeat(40),
  ),
  fc.constantFrom("\u{1f600}", "a\ud800b", `"${"y".repeat(70_000)}"`),
  fc.string({ unit: "binary", maxLength: 80 }),
);
const numbers = fc.constantFrom(0n, 1n, 127n, 128n, 2n ** 35n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -1n);
const payloads = fc.oneof(
  fc.constant(undefined),
  fc.record({
    data: fc.oneof(
      fc.constant({ case: undefined }),
      texts.map((value) => ({ case: "json", value })),
      fc.uint8Array({ maxLength: 300 }).map((value) => ({ case: "bytes", value })),
    ),
    encoding: fc.constantFrom("", "json/zstd"),
  }),
);
const attempts = fc.constantFrom(0, 1, 2_147_483_647, -1);
/** Each throws, whoever writes it. */
const impossible = [2 ** 31, 2 ** 32 + 1, 1.5];
const changes = fc.oneof(
  fc.record({ stepKey: texts, output: payloads, attempt: attempts, elapsedMs: numbers }).map((value) => ({
    change: { case: "completeStep", value },
  })),
  fc.record({ output: payloads }).map((value) => ({ change: { case: "completeRun", value } })),
);
const usualOps = fc
  .record({
    opId: numbers,
    lease: fc.option(fc.record({ runId: texts, leaseId: fc.uint8Array({ maxLength: 20 }), epoch: numbers }), {
      nil: undefined,
    }),
    changes: fc.array(changes, { maxLength: 3 }),
    afterRefused: numbers,
  })
  .map((op) => create(OpSchema, op as never));
const ops = fc.array(fc.oneof({ arbitrary: usualOps, weight: 3 }, messageOf(OpSchema) as fc.Arbitrary<Op>), {
  maxLength: 4,
});

test("ops are written as the library writes them", () => {
  fc.assert(
    fc.property(ops, (list) => {
      // Compared at once: some are long, and item by item that takes seconds.
      const written = Buffer.from(encodeOps(list)).toString("latin1");
      expect(written).toBe(Buffer.from(toBinary(OpsSchema, create(OpsSchema, { ops: list }))).toString("latin1"));
    }),
    { numRuns: 2_000 },
  );
});

test("an attempt that the field cannot hold is refused", () => {
  for (const attempt of impossible) {
    const value = { stepKey: "a", attempt };
    const op = create(OpSchema, { opId: 1n, changes: [{ change: { case: "completeStep", value } }] });
    expect(() => encodeOps([op]), `${attempt}`).toThrow();
  }
});

test("ops that cannot be written leave nothing in the next frame", () => {
  const op = create(OpSchema, { opId: 1n, changes: [{ change: { case: "completeStep", value: { stepKey: "a" } } }] });
  const before = encodeOps([op]);
  const wrong = create(OpSchema, {
    opId: 2n,
    changes: [{ change: { case: "startStep", value: { stepKey: "b", attempt: 2 ** 40 } } }],
  });
  expect(() => encodeOps([op, wrong])).toThrow();
  expect(encodeOps([op])).toEqual(before);
});

const applied = fc
  .record({
    opId: numbers,
    leaseId: fc.uint8Array({ maxLength: 20 }),
    result: fc.record({ alreadyApplied: fc.boolean(), lastSeq: numbers }).map((value) => ({ case: "applied", value })),
  })
  .map((result) => create(OpResultSchema, result as never));
const results = fc.array(
  fc.oneof({ arbitrary: applied, weight: 3 }, messageOf(OpResultSchema) as fc.Arbitrary<OpResult>),
  {
    maxLength: 4,
  },
);
const options = { readUnknownFields: false };

describe("results", () => {
  const read = (decode: () => OpResults) => {
    try {
      return decode();
    } catch {
      return "unreadable";
    }
  };
  const encode = (list: OpResult[]) => toBinary(OpResultsSchema, create(OpResultsSchema, { results: list }));

  test("are read as the library reads them", () => {
    fc.assert(
      fc.property(results, (list) => {
        const bytes = encode(list);
        expect(decodeResults(bytes)).toEqual(fromBinary(OpResultsSchema, bytes, options));
      }),
      { numRuns: 2_000 },
    );
  });

  test("also when they come in parts", () => {
    fc.assert(
      fc.property(applied, applied, (one, other) => {
        const both = Buffer.concat([toBinary(OpResultSchema, one), toBinary(OpResultSchema, other)]);
        const bytes = Buffer.concat([encode([one]), Buffer.from([0x0a, both.length]), both]);
        fc.pre(both.length < 128);
        expect(decodeResults(bytes)).toEqual(fromBinary(OpResultsSchema, bytes, options));
      }),
      { numRuns: 2_000 },
    );
  });

  test("that are cut off are refused", () => {
    fc.assert(
      fc.property(applied, fc.nat(), (result, cut) => {
        const bytes = encode([result]);
        const part = bytes.subarray(0, cut % bytes.length);
        expect(read(() => decodeResults(part))).toEqual(read(() => fromBinary(OpResultsSchema, part, options)));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("frames", () => {
  const sent = (init: object) => {
    const frame = create(WorkerFrameSchema, { frame: init } as never);
    return { frame, read: fromBinary(SessionRequestSchema, toBinary(leanSession.input, leanRequest(frame))) };
  };
  test("of a worker arrive as they were sent, ops and others", () => {
    const op = { opId: 3n, lease: { runId: "r", leaseId: new Uint8Array(16), epoch: 1n } };
    for (const init of [
      { case: "ops", value: { ops: [op, op] } },
      { case: "drain", value: {} },
    ]) {
      const { frame, read } = sent(init);
      expect(read).toEqual(create(SessionRequestSchema, { frame }));
    }
  });

  test("of the server: results, others, an empty one, and both at once", () => {
    const frameOf = (init: object) => create(SessionResponseSchema, { frame: { frame: init } } as never);
    const received = (...responses: SessionResponse[]): ServerFrame["frame"][] => {
      const bytes = Uint8Array.from(
        Buffer.concat(responses.map((response) => toBinary(SessionResponseSchema, response))),
      );
      return framesOf(fromBinary(leanSession.output, bytes) as SessionResponse).map(({ frame }) => frame);
    };
    const result = {
      opId: 3n,
      leaseId: new Uint8Array(16).fill(2),
      result: { case: "applied", value: { lastSeq: 4n } },
    };
    const opResults = frameOf({ case: "opResults", value: { results: [result] } });
    const ping = frameOf({ case: "ping", value: { nonce: 1n } });
    expect(received(opResults)).toEqual([opResults.frame?.frame]);
    expect(received(ping)).toEqual([ping.frame?.frame]);
    expect(received(opResults, ping)).toEqual([opResults.frame?.frame, ping.frame?.frame]);
    expect(received(frameOf({ case: undefined }))).toEqual([{ case: undefined }]);
    expect(received(create(SessionResponseSchema))).toEqual([]);
  });
});
