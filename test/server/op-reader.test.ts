import { isDeepStrictEqual } from "node:util";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Change } from "../../src/core/command.ts";
import { digestOf } from "../../src/core/digest.ts";
import { createKnownLeases } from "../../src/server/session-wire/known-leases.ts";
import { type LeanSessionRequest, leanSession } from "../../src/server/session-wire/lean-session.ts";
import { createOpReader } from "../../src/server/session-wire/op-reader.ts";
import { createFrameReader } from "../../src/server/worker-frames.ts";
import { type Op, OpSchema, StepCompletionSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import { LeaseSchema } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { PayloadSchema } from "../../gen/ts/everstep/v1/payload_pb.ts";
import { OpsSchema, SessionRequestSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { messageOf } from "../hostile/messages.ts";
import { fakeSession } from "./fake-engine.ts";

// What the quick reader makes of bytes must be what the library and the checks make of them: the library is the oracle.

const payloadBytesMax = 40;
const id = (first: number, last = 7) => new Uint8Array(16).fill(first).with(15, last);
/** The first two differ in nothing but the last byte, so they are told apart behind the bits that find them. */
const leases = [
  create(LeaseSchema, { runId: "run-1", leaseId: id(1), epoch: 1n }),
  create(LeaseSchema, { runId: "run-1", leaseId: id(1, 8), epoch: 1n }),
  create(LeaseSchema, { runId: "run-1", leaseId: id(1), epoch: 2n }),
  create(LeaseSchema, { runId: "run-2", leaseId: id(1), epoch: 1n }),
  create(LeaseSchema, { runId: "run-22", leaseId: id(1), epoch: 1n }),
  create(LeaseSchema, { runId: "ä-run", leaseId: id(2), epoch: 3n }),
  create(LeaseSchema, { runId: "a\u007f", leaseId: id(3), epoch: 3n }),
  create(LeaseSchema, { runId: "r".repeat(8_192), leaseId: id(4), epoch: 3n }),
  create(LeaseSchema, { runId: "r".repeat(8_193), leaseId: id(5), epoch: 3n }),
];
const real = { [LeaseSchema.typeName]: leases };

const payloads = fc.constantFrom<object | undefined>(
  undefined,
  {},
  { data: { case: "json", value: '"twenty bytes of step"' } },
  { data: { case: "json", value: '{"ä":1}' } },
  { data: { case: "json", value: "no json" } },
  { data: { case: "json", value: "" } },
  { data: { case: "json", value: `"${"x".repeat(payloadBytesMax)}"` } },
  { data: { case: "bytes", value: new Uint8Array([1, 2, 3]) } },
  { data: { case: "bytes", value: new Uint8Array(payloadBytesMax + 1) } },
  { data: { case: "json", value: "1" }, encoding: "zstd" },
);
const stepKeys = fc.constantFrom("a", "charge card", "", "ü", "\u0000", "k".repeat(1_024), "k".repeat(1_025));
const attempts = fc.constantFrom(0, 1, 300, 2_147_483_647, -1);
const durations = fc.constantFrom(0n, 5n, 100_000_000_000_000n, 100_000_000_000_001n, -1n, 2n ** 62n);
const changes = fc.oneof(
  fc.record({ stepKey: stepKeys, output: payloads, attempt: attempts, elapsedMs: durations }).map((value) => ({
    change: { case: "completeStep", value },
  })),
  fc
    .record({ stepKey: stepKeys, attempt: attempts, atMostOnce: fc.boolean(), timeoutMs: durations, input: payloads })
    .map((value) => ({ change: { case: "startStep", value } })),
  fc.record({ output: payloads }).map((value) => ({ change: { case: "completeRun", value } })),
);
/** As workers send them, most of them without a mistake. */
const usualOps = fc
  .record({
    opId: fc.constantFrom(1n, 2n, 300n, 2n ** 53n - 1n, 2n ** 53n, 0n, -1n),
    lease: fc.oneof({ arbitrary: fc.constantFrom(...leases), weight: 9 }, fc.constant(undefined)),
    changes: fc.array(changes, { minLength: 1, maxLength: 1 }),
    afterRefused: fc.constantFrom(0n, 0n, 1n, 2n ** 53n, -1n),
  })
  .map((op) => create(OpSchema, op as never));
const anyOps = fc.array(fc.oneof({ arbitrary: usualOps, weight: 4 }, messageOf(OpSchema, real) as fc.Arbitrary<Op>), {
  maxLength: 5,
});
/** A change of the bytes: a byte replaced, left out or put in, or a part of them doubled. */
const damages = fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255), how: fc.nat(3), length: fc.nat(40) }), {
  maxLength: 2,
});

function damaged(bytes: Uint8Array, damage: { at: number; byte: number; how: number; length: number }): Uint8Array {
  const at = bytes.length === 0 ? 0 : damage.at % bytes.length;
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  const middle = damage.how === 3 ? tail.subarray(0, damage.length) : damage.how === 0 ? [] : [damage.byte];
  return Uint8Array.from([...head, ...middle, ...(damage.how === 1 ? tail.subarray(1) : tail)]);
}

type Read = (reader: ReturnType<typeof createFrameReader>) => void;

/** Gives the calls of the engine's end of one stream for each reading, with the digest of each op, or the error. */
function openStream(): (read: Read) => unknown {
  const { handle, calls } = fakeSession();
  const reader = createFrameReader(handle, { payloadBytesMax, onBadHello: () => {} });
  return (read) => {
    calls.length = 0;
    try {
      read(reader);
    } catch (error) {
      expect(error).toBeInstanceOf(ConnectError);
      return { error: (error as ConnectError).rawMessage };
    }
    return calls.map(({ name, args }) => {
      const [op] = args as [{ changes?: readonly Change[] }];
      return { name, args, digest: name === "op" ? digestOf(op.changes ?? []) : 0 };
    });
  };
}
const outcomeOf = (read: Read) => openStream()(read);

function byLibrary(bytes: Uint8Array, decode = (encoded: Uint8Array) => fromBinary(OpsSchema, encoded)): unknown {
  return outcomeOf((reader) => {
    let ops: ReturnType<typeof decode>;
    try {
      ops = decode(bytes);
    } catch (error) {
      throw new ConnectError(`parse binary: ${(error as Error).message}`);
    }
    reader.read({ $typeName: "everstep.v1.WorkerFrame", frame: { case: "ops", value: ops } });
  });
}

/** Each op from its own bytes. The library lets a message inside another one end beyond it; the quick reader does not. */
function eachByItself(bytes: Uint8Array): ReturnType<typeof fromBinary<typeof OpsSchema>> {
  const reader = new BinaryReader(bytes);
  const ops: Op[] = [];
  while (reader.pos < reader.len) {
    expect(reader.tag()).toEqual([1, WireType.LengthDelimited]);
    ops.push(fromBinary(OpSchema, reader.bytes()));
  }
  return create(OpsSchema, { ops });
}

/** One stream for all cases: what it remembers of leases must not mislead it. */
const onStream = openStream();
const byQuickReader = (...encoded: Uint8Array[]) =>
  onStream((reader) => reader.readLean({ frame: { case: undefined }, ops: encoded }));
const encodeOps = (ops: Op[]) => toBinary(OpsSchema, create(OpsSchema, { ops }));

/** A field that holds these encodings end to end, which means their merger. */
const field = (no: number, ...encodings: Uint8Array[]) =>
  new BinaryWriter().tag(no, WireType.LengthDelimited).bytes(Buffer.concat(encodings)).finish();
const encodingsOf = (desc: DescMessage, of: fc.Arbitrary<unknown>) =>
  fc.array(
    of.map((init) => toBinary(desc, create(desc, init as never))),
    { minLength: 1, maxLength: 2 },
  );
/** Ops in which every message may come in two parts, and every part twice. */
const partedOps = fc
  .record({
    head: encodingsOf(
      OpSchema,
      fc.record({ opId: fc.constantFrom(0n, 1n, 9n), afterRefused: fc.constantFrom(0n, 4n) }),
    ),
    lease: encodingsOf(LeaseSchema, fc.constantFrom(...leases, { epoch: 1n }, { runId: "run-1" }, { leaseId: id(1) })),
    step: encodingsOf(
      StepCompletionSchema,
      fc.record({ stepKey: stepKeys, output: payloads, attempt: attempts }, { requiredKeys: [] }),
    ),
    output: fc.oneof(
      fc.constant([]),
      encodingsOf(
        PayloadSchema,
        payloads.map((init) => init ?? {}),
      ),
    ),
    times: fc.record({
      lease: fc.constantFrom(1, 1, 2),
      step: fc.constantFrom(1, 1, 2),
      change: fc.constantFrom(1, 1, 2),
    }),
  })
  .map(({ head, lease, step, output, times }) => {
    const stepField = field(2, ...step, ...(output.length === 0 ? [] : [field(2, ...output)]));
    const change = field(3, ...new Array(times.step).fill(stepField));
    return field(
      1,
      ...head,
      ...new Array(times.lease).fill(field(2, ...lease)),
      ...new Array(times.change).fill(change),
    );
  });

describe("the quick reader", () => {
  test("makes of ops what the library makes of them", () => {
    fc.assert(
      fc.property(anyOps, (ops) => {
        const bytes = encodeOps(ops);
        expect(byQuickReader(bytes)).toStrictEqual(byLibrary(bytes));
      }),
      { numRuns: 3_000 },
    );
  });

  test("also of messages that come in parts, and of fields that come twice", () => {
    fc.assert(
      fc.property(fc.array(partedOps, { maxLength: 3 }), (ops) => {
        const bytes = Buffer.concat(ops);
        expect(byQuickReader(bytes)).toStrictEqual(byLibrary(bytes));
      }),
      { numRuns: 5_000 },
    );
  });

  test("also of damaged ones, and of bytes that are none", () => {
    fc.assert(
      fc.property(anyOps, damages, (ops, damage) => {
        const bytes = damage.reduce(damaged, encodeOps(ops));
        const read = byQuickReader(bytes);
        if (!isDeepStrictEqual(read, byLibrary(bytes))) expect(read).toStrictEqual(byLibrary(bytes, eachByItself));
      }),
      { numRuns: 4_000 },
    );
  });

  test("reads the usual ops itself, and leaves others to the library", () => {
    const reader = createOpReader({ leases: createKnownLeases(100), payloadBytesMax: 100 });
    const json = { data: { case: "json" as const, value: '{"a":[1]}' } };
    const isQuick = (change: object) => {
      const op = create(OpSchema, { opId: 5n, lease: leases[0], changes: [{ change } as never] });
      return reader.read([encodeOps([op])]).map(({ op }) => op !== undefined);
    };
    expect(isQuick({ case: "completeStep", value: { stepKey: "a", output: json, attempt: 1, elapsedMs: 3n } })).toEqual(
      [true],
    );
    expect(isQuick({ case: "startStep", value: { stepKey: "a", attempt: 1, atMostOnce: true } })).toEqual([true]);
    expect(isQuick({ case: "completeRun", value: { output: json } })).toEqual([true]);
    expect(isQuick({ case: "cancelledRun", value: {} })).toEqual([false]);
    expect(isQuick({ case: "completeStep", value: { stepKey: "ä", output: json } })).toEqual([false]);
  });

  test("knows so many leases, and forgets one with its run", () => {
    const known = createKnownLeases(2);
    const reader = createOpReader({ leases: known, payloadBytesMax: 100 });
    const send = (first: number, change: object) => {
      const lease = { runId: "r", leaseId: id(first), epoch: 1n };
      return reader.read([encodeOps([create(OpSchema, { opId: 1n, lease, changes: [{ change } as never] })])])[0]?.op
        ?.lease;
    };
    const step = { case: "completeStep", value: { stepKey: "a" } };
    expect(send(1, step)).toBe(send(1, step));
    expect(send(2, step)).toMatchObject({ leaseId: Buffer.from(id(2)).toString("hex") });
    expect(known.size).toBe(2);
    send(3, step);
    expect(known.size).toBe(1);
    send(3, { case: "completeRun", value: {} });
    expect(known.size).toBe(0);
    for (const ending of ["completeRun", "failRun", "suspendRun", "cancelledRun"]) {
      send(4, step);
      send(4, { case: ending, value: ending === "completeRun" ? { output: { encoding: "zstd" } } : {} });
      expect([ending, known.size]).toEqual([ending, 0]);
    }
  });
});

test("a known lease keeps nothing of the message that named it", () => {
  const known = createKnownLeases(2);
  const bytes = Buffer.concat([Buffer.from("run-1"), id(1)]);
  const places = { runIdAt: 0, runIdLength: 5, leaseIdAt: 5, epoch: 1 };
  const lease = { runId: "run-1", leaseId: "", epoch: 1 };
  known.add(bytes, places, lease);
  const again = Buffer.from(bytes);
  bytes.fill(0);
  expect(known.find(again, places)).toBe(lease);
});

describe("a frame with its ops as bytes", () => {
  const op = (opId: bigint) =>
    create(OpSchema, { opId, lease: leases[0], changes: [{ change: { case: "completeRun", value: {} } }] });
  const encodeFrame = (frame: object) =>
    toBinary(SessionRequestSchema, create(SessionRequestSchema, { frame: { frame } as never }));
  const read = (bytes: Uint8Array) => {
    const { frame } = fromBinary(leanSession.input, bytes) as LeanSessionRequest;
    return outcomeOf((reader) => reader.readLean(frame));
  };

  test("may come in pieces: all of them count, as they do for the library", () => {
    const pieces = [1n, 2n].map((opId) => encodeFrame({ case: "ops", value: { ops: [op(opId)] } }));
    expect(read(Buffer.concat(pieces))).toMatchObject([{ args: [{ opId: 1 }] }, { args: [{ opId: 2 }] }]);
  });

  test("is refused when it holds something else too: nothing of it is dropped without a word", () => {
    const pieces = [encodeFrame({ case: "ops", value: { ops: [op(1n)] } }), encodeFrame({ case: "drain", value: {} })];
    expect(read(Buffer.concat(pieces))).toMatchObject([
      { name: "invalidFrame", args: [{ reason: "PROTOCOL", field: "frame" }] },
    ]);
  });

  test("has no more ops than a frame may have", () => {
    const frame = (count: number) =>
      read(encodeFrame({ case: "ops", value: { ops: Array.from({ length: count }, (_, at) => op(BigInt(at + 1))) } }));
    expect(frame(1_024)).toHaveLength(1_024);
    for (const count of [1_025, 5_000]) {
      const message = `ops has ${count} entries, the limit is 1024`;
      expect(frame(count)).toMatchObject([
        { name: "invalidFrame", args: [{ reason: "INVALID", field: "ops", message }] },
      ]);
    }
  });
});
