// Ops as bytes. The usual changes are written by hand, field by field; any other is written by the library.
import { toBinary } from "@bufbuild/protobuf";
import {
  type Change,
  ChangeSchema,
  type Op,
  OpSchema,
  type StepCompletion,
} from "../../../../gen/ts/everstep/v1/change_pb.ts";
import type { Lease } from "../../../../gen/ts/everstep/v1/lease_pb.ts";
import type { Payload } from "../../../../gen/ts/everstep/v1/payload_pb.ts";
import { WireWriter } from "./wire-writer.ts";

const writer = new WireWriter();

/** An encoded Ops message. Throws when the library cannot write what is in it. */
export function encodeOps(ops: readonly Op[]): Uint8Array {
  writer.start();
  for (const op of ops) {
    const opId = Number(op.opId);
    const afterRefused = Number(op.afterRefused);
    const epoch = Number(op.lease?.epoch ?? 0);
    if (!isPlain(opId) || !isPlain(afterRefused) || !isPlain(epoch)) {
      writer.bytes(1, toBinary(OpSchema, op));
      continue;
    }
    const start = writer.begin(1);
    writer.number(1, opId);
    if (op.lease !== undefined) writeLease(2, op.lease, epoch);
    for (const change of op.changes) writeChange(3, change);
    writer.number(4, afterRefused);
    writer.end(start);
  }
  return writer.finish();
}

/** What a worker counts is neither negative nor too large for a number. */
function isPlain(value: number, max = Number.MAX_SAFE_INTEGER): boolean {
  return value >= 0 && value <= max && Number.isInteger(value);
}

/** Of the field's type, int32. */
const attemptMax = 2_147_483_647;

function writeLease(no: number, lease: Lease, epoch: number): void {
  const start = writer.begin(no);
  if (lease.runId !== "") writer.text(1, lease.runId);
  if (lease.leaseId.length > 0) writer.bytes(2, lease.leaseId);
  writer.number(3, epoch);
  writer.end(start);
}

function writeChange(no: number, change: Change): void {
  const { case: kind, value } = change.change;
  if (kind === "completeStep") {
    const elapsedMs = Number(value.elapsedMs);
    if (isPlain(value.attempt, attemptMax) && isPlain(elapsedMs)) return writeCompletion(no, value, elapsedMs);
  } else if (kind === "completeRun") {
    const start = writer.begin(no);
    const body = writer.begin(8);
    if (value.output !== undefined) writePayload(1, value.output);
    writer.end(body);
    writer.end(start);
    return;
  }
  writer.bytes(no, toBinary(ChangeSchema, change));
}

function writeCompletion(no: number, { stepKey, output, attempt }: StepCompletion, elapsedMs: number): void {
  const start = writer.begin(no);
  const body = writer.begin(2);
  if (stepKey !== "") writer.text(1, stepKey);
  if (output !== undefined) writePayload(2, output);
  writer.number(3, attempt);
  writer.number(4, elapsedMs);
  writer.end(body);
  writer.end(start);
}

function writePayload(no: number, { data, encoding }: Payload): void {
  const start = writer.begin(no);
  // A member of a oneof is written though it is empty.
  if (data.case === "json") writer.text(1, data.value);
  else if (data.case === "bytes") writer.bytes(2, data.value);
  if (encoding !== "") writer.text(3, encoding);
  writer.end(start);
}
