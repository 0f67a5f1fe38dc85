// Results from bytes. Nearly all say "applied" and nothing more: these are read by hand, any other by the library.
import { fromBinary } from "@bufbuild/protobuf";
import { type OpResult, OpResultSchema } from "../../../../gen/ts/everstep/v1/change_pb.ts";
import { type OpResults, OpResultsSchema } from "../../../../gen/ts/everstep/v1/worker_service_pb.ts";

const tags = { result: 0x0a, opId: 0x08, leaseId: 0x12, applied: 0x1a } as const;
const appliedTags = { alreadyApplied: 0x08, lastSeq: 0x10 } as const;
const options = { readUnknownFields: false };

/** Of an encoded OpResults message. Throws when it is none. */
export function decodeResults(encoded: Uint8Array): OpResults {
  const results: OpResult[] = [];
  const reader = new PlainReader(encoded);
  while (reader.at < encoded.length) {
    const end = encoded[reader.at++] === tags.result ? reader.end(encoded.length) : -1;
    if (end < 0) return fromBinary(OpResultsSchema, encoded, options);
    const start = reader.at;
    results.push(readPlain(reader, end) ?? fromBinary(OpResultSchema, encoded.subarray(start, end), options));
    reader.at = end;
  }
  return { $typeName: "everstep.v1.OpResults", results };
}

/** Undefined for one that says more, or says it otherwise. */
function readPlain(reader: PlainReader, end: number): OpResult | undefined {
  let opId = 0;
  let leaseId: Uint8Array | undefined;
  let lastSeq = -1;
  let alreadyApplied = 0;
  while (reader.at < end) {
    const tag = reader.bytes[reader.at++];
    if (tag === tags.opId) opId = reader.number();
    else if (tag === tags.leaseId) {
      const leaseIdEnd = reader.end(end);
      if (leaseIdEnd < 0) return undefined;
      leaseId = reader.bytes.subarray(reader.at, leaseIdEnd);
      reader.at = leaseIdEnd;
    } else if (tag === tags.applied) {
      if (reader.end(end) !== end) return undefined; // the last field, so the only one of its kind
      lastSeq = 0;
      while (reader.at < end) {
        const inner = reader.bytes[reader.at++];
        if (inner === appliedTags.lastSeq) lastSeq = reader.number();
        else if (inner === appliedTags.alreadyApplied) alreadyApplied = reader.number();
        else return undefined;
      }
    } else return undefined;
  }
  if (reader.at !== end || opId < 0 || lastSeq < 0 || alreadyApplied < 0 || leaseId === undefined) return undefined;
  return {
    $typeName: "everstep.v1.OpResult",
    opId: BigInt(opId),
    leaseId,
    result: {
      case: "applied",
      value: {
        $typeName: "everstep.v1.OpApplied",
        alreadyApplied: alreadyApplied !== 0,
        lastSeq: BigInt(lastSeq),
        results: [],
      },
    },
  };
}

class PlainReader {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** -1 for one that is negative, unsafe or cut off. */
  number(): number {
    let value = 0;
    for (let scale = 1, i = 0; i < 8; i++, scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : -1;
    }
    this.at = this.bytes.length + 1; // nothing behind it is taken for anything
    return -1;
  }

  /** Behind a length: where what it counts ends; -1 when that is beyond `limit`. */
  end(limit: number): number {
    const length = this.number();
    return length < 0 || this.at + length > limit ? -1 : this.at + length;
  }
}
