import { toBinary } from "@bufbuild/protobuf";
import type { OpResult } from "../../engine/frames.ts";
import { OpResultSchema } from "../../../gen/ts/everstep/v1/change_pb.ts";
import { leaseIdBytes } from "../convert/lease.ts";
import { opResultTo } from "../convert/op-result.ts";
import { lengthField, varintField } from "./wire-cursor.ts";

// Results as bytes. Nearly all say "applied" and nothing more, which is four numbers and the id of the lease; one that
// says more, a refusal too, is written by the library.

/** An encoded OpResults message. */
export function encodeResults(results: readonly OpResult[]): Uint8Array {
  let at = 0;
  if (scratch.length > keptBytes) scratch = new Uint8Array(firstBytes);
  for (const result of results) {
    const encoded = isPlain(result) ? undefined : toBinary(OpResultSchema, opResultTo(result));
    reserve(at, encoded?.length ?? plainBytesMax);
    scratch[at++] = resultTag;
    if (encoded === undefined) at = writePlain(result, at);
    else {
      at = writeNumber(encoded.length, at);
      scratch.set(encoded, at);
      at += encoded.length;
    }
  }
  return scratch.slice(0, at);
}

const resultTag = lengthField(1);
const opIdTag = varintField(1);
const leaseIdTag = lengthField(2);
const appliedTag = lengthField(3);
const alreadyAppliedTag = varintField(1);
const lastSeqTag = varintField(2);

/** A varint of a safe integer has eight bytes at most. */
const numberBytesMax = 8;
/** Two numbers and a lease id with their tags and lengths, and a flag. */
const plainBytesMax = 2 * (1 + numberBytesMax) + (2 + leaseIdBytes) + 2 + 2;
/** Tag and length of a result. */
const headBytes = 1 + numberBytesMax;

/** What is held between two messages, more than usual frames need; what was larger is given up with its message. */
const keptBytes = 1_024 * 1_024;
const firstBytes = 64 * 1_024;

let scratch = new Uint8Array(firstBytes);

function reserve(at: number, bytes: number): void {
  const needed = at + headBytes + bytes;
  if (needed <= scratch.length) return;
  const larger = new Uint8Array(2 * needed);
  larger.set(scratch.subarray(0, at));
  scratch = larger;
}

function isPlain({ outcome, leaseId }: OpResult): boolean {
  return outcome.kind === "applied" && outcome.notes.length === 0 && leaseId.length === 2 * leaseIdBytes;
}

function writePlain({ opId, leaseId, outcome }: OpResult, from: number): number {
  const { already, lastSeq } = outcome as Extract<OpResult["outcome"], { kind: "applied" }>;
  let at = from + 1; // its length, which is below 128, when it is known
  scratch[at++] = opIdTag;
  at = writeNumber(opId, at);
  scratch[at++] = leaseIdTag;
  scratch[at++] = leaseIdBytes;
  for (let i = 0; i < leaseId.length; i += 2) {
    scratch[at++] = (digit(leaseId.charCodeAt(i)) << 4) | digit(leaseId.charCodeAt(i + 1));
  }
  scratch[at++] = appliedTag;
  const appliedFrom = at++;
  if (already) {
    scratch[at++] = alreadyAppliedTag;
    scratch[at++] = 1;
  }
  if (lastSeq !== 0) {
    scratch[at++] = lastSeqTag;
    at = writeNumber(lastSeq, at);
  }
  scratch[appliedFrom] = at - appliedFrom - 1;
  scratch[from] = at - from - 1;
  return at;
}

function writeNumber(value: number, from: number): number {
  let at = from;
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 128)) scratch[at++] = (left % 128) | 0x80;
  scratch[at++] = left;
  return at;
}

/** Of a lower-case hexadecimal digit. */
function digit(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
