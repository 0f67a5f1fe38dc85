import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { refuse } from "../../src/core/errors.ts";
import type { OpOutcome, OpResult, ServerFrame } from "../../src/engine/frames.ts";
import { opResultTo } from "../../src/server/convert/op-result.ts";
import { sessionResponses } from "../../src/server/convert/server-frame.ts";
import { leanResponses, leanSession } from "../../src/server/session-wire/lean-session.ts";
import { encodeResults } from "../../src/server/session-wire/result-writer.ts";
import { OpResultsSchema, SessionResponseSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";

// What is written by hand reads as what the library writes.

const applied = (lastSeq: number, more: object = {}): OpOutcome => ({
  kind: "applied",
  already: false,
  lastSeq,
  notes: [],
  nowMs: 1_000,
  queued: false,
  ...more,
});
const leaseId = "00ff09af9abcdef0123456789abcdef0";
const outcomes: OpOutcome[] = [
  ...[0, 1, 127, 128, 16_384, 2 ** 32, Number.MAX_SAFE_INTEGER].map((lastSeq) => applied(lastSeq)),
  applied(5, { already: true }),
  applied(5, { notes: [{ kind: "timer", index: 0, firesAtMs: 1_500 }] }),
  applied(5, { notes: [{ kind: "stored", index: 0, output: { data: `"${"x".repeat(200_000)}"`, encoding: "" } }] }),
  refuse("PAYLOAD_TOO_LARGE", "output has 5 bytes, the limit is 4", { field: "changes[0].output" }),
  applied(6),
];
const opIds = [1, 127, 128, 70_000, Number.MAX_SAFE_INTEGER];
const results: OpResult[] = outcomes.flatMap((outcome) => opIds.map((opId) => ({ opId, leaseId, outcome })));

const byLibrary = (of: OpResult[]) =>
  fromBinary(OpResultsSchema, toBinary(OpResultsSchema, create(OpResultsSchema, { results: of.map(opResultTo) })));

test("results, plain ones and others among each other", () => {
  expect(fromBinary(OpResultsSchema, encodeResults(results))).toEqual(byLibrary(results));
});

test("a result of a lease id that is none of ours", () => {
  for (const odd of ["", "ab", leaseId.repeat(4)]) {
    const result = { opId: 3, leaseId: odd, outcome: applied(1) };
    expect(fromBinary(OpResultsSchema, encodeResults([result]))).toEqual(byLibrary([result]));
  }
});

test("frames: neighbours of a kind travel together, in their order", () => {
  const frames: ServerFrame[] = [
    { kind: "ping", nonce: 1 },
    { kind: "opResult", result: results[0] as OpResult },
    { kind: "opResult", result: results[1] as OpResult },
    { kind: "revoke", lost: { leaseId, reason: "EXPIRED" } },
    { kind: "revoke", lost: { leaseId, reason: "REVOKED" } },
    { kind: "opResult", result: results[2] as OpResult },
  ];
  const read = leanResponses(frames).map((response) =>
    fromBinary(SessionResponseSchema, toBinary(leanSession.output, response)),
  );
  const expected = sessionResponses(frames).map((response) =>
    fromBinary(SessionResponseSchema, toBinary(SessionResponseSchema, response)),
  );
  expect(read).toEqual(expected);
});
