import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Change } from "../../core/command.ts";
import type { Payload } from "../../core/payload.ts";
import type { OpRequest } from "../../engine/api.ts";
import { countMax, durationMsMax, frameOpsMax, stepKeyBytesMax } from "../../limits.ts";
import { type Op, OpSchema } from "../../../gen/ts/everstep/v1/change_pb.ts";
import { OpsSchema } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { hexFrom, leaseIdBytes } from "../convert/lease.ts";
import type { KnownLeases } from "./known-leases.ts";
import { lastControl, lengthField, varintField, WireCursor } from "./wire-cursor.ts";

// Ops as they are on the wire, read straight into what the engine takes. Nearly every op has one change that starts or
// completes a step or completes the run, all of it in ASCII. The quick reader knows these and nothing else:
// whatever it does not expect, a mistake too, it leaves to the library, whose message goes through the checks and their
// refusals like any other. So nothing is refused here, and what is accepted here is what the library and the checks
// would have made of the same bytes (test/server/op-reader.test.ts holds one against the other).

/** An op that is checked already, or one as the library read it. */
export type ReadOp =
  | { readonly op: OpRequest; readonly wire?: undefined }
  | { readonly wire: Op; readonly op?: undefined };

export interface OpReader {
  /** The ops of encoded Ops messages, in order. Throws ConnectError when the bytes are none. */
  read(encoded: readonly Uint8Array[]): ReadOp[];
}

const tags = {
  op: lengthField(1),
  opId: varintField(1),
  lease: lengthField(2),
  change: lengthField(3),
  afterRefused: varintField(4),
} as const;
const leaseTags = { runId: lengthField(1), leaseId: lengthField(2), epoch: varintField(3) } as const;
const changeTags = { startStep: lengthField(1), completeStep: lengthField(2), completeRun: lengthField(8) } as const;
const stepKeyTag = lengthField(1);
const completeTags = { output: lengthField(2), attempt: varintField(3), elapsedMs: varintField(4) } as const;
const startTags = { attempt: varintField(2), atMostOnce: varintField(3), timeoutMs: varintField(4) } as const;
const outputOfRunTag = lengthField(1);
const payloadTags = { json: lengthField(1), bytes: lengthField(2) } as const;

/** Changes behind which a lease is over. */
const endings: ReadonlySet<Op["changes"][number]["change"]["case"]> = new Set([
  "completeRun",
  "failRun",
  "suspendRun",
  "cancelledRun",
] as const);

/** Stands for an op beyond the limit: counted, not read, because its frame is refused. */
const tooMany: ReadOp = { wire: create(OpSchema) };

export function createOpReader(options: { leases: KnownLeases; payloadBytesMax: number }): OpReader {
  const quick = new QuickReader(options.leases, options.payloadBytesMax);
  return {
    read(encoded) {
      const ops: ReadOp[] = [];
      for (const bytes of encoded) if (!quick.read(bytes, ops)) readByLibrary(bytes, ops);
      return ops;
    },
  };
}

function readByLibrary(bytes: Uint8Array, ops: ReadOp[]): void {
  for (const wire of asConnectDoes(() => fromBinary(OpsSchema, bytes)).ops) ops.push({ wire });
}

/** What cannot be read is told in the words that it has where Connect reads it. */
function asConnectDoes<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ConnectError(`parse binary: ${error instanceof Error ? error.message : String(error)}`, Code.Internal);
  }
}

class QuickReader {
  readonly #leases: KnownLeases;
  readonly #payloadBytesMax: number;
  readonly #cursor = new WireCursor();
  /** Where the lease of the op at hand is. */
  readonly #places = { runIdAt: 0, runIdLength: 0, leaseIdAt: 0, epoch: 0 };
  /** Of the change at hand; undefined also for "no value". */
  #output: Payload | undefined;

  constructor(leases: KnownLeases, payloadBytesMax: number) {
    this.#leases = leases;
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** False when this is no plain list of ops; then nothing was added. */
  read(encoded: Uint8Array, ops: ReadOp[]): boolean {
    const cursor = this.#cursor;
    const before = ops.length;
    cursor.open(encoded);
    while (cursor.at < encoded.length) {
      const end = encoded[cursor.at++] === tags.op ? cursor.readEnd(encoded.length) : -1;
      if (end < 0) {
        cursor.close();
        ops.length = before;
        return false;
      }
      ops.push(ops.length < frameOpsMax ? this.#readNext(encoded, end) : tooMany);
      cursor.at = end;
      cursor.failed = false;
    }
    cursor.close();
    return true;
  }

  #readNext(encoded: Uint8Array, end: number): ReadOp {
    const start = this.#cursor.at;
    const op = this.#readOp(end);
    if (op !== undefined) return { op };
    const wire = asConnectDoes(() => fromBinary(OpSchema, encoded.subarray(start, end)));
    // It may know the lease under which nothing follows.
    if (wire.lease !== undefined && endings.has(wire.changes.at(-1)?.change.case)) {
      if (wire.lease.leaseId.length === leaseIdBytes) this.#leases.forget(wire.lease.leaseId);
    }
    return { wire };
  }

  #readOp(end: number): OpRequest | undefined {
    const cursor = this.#cursor;
    let opId = 0;
    let afterRefused = 0;
    let hasLease = false;
    let change: Change | undefined;
    while (cursor.at < end) {
      const tag = cursor.bytes[cursor.at++];
      if (tag === tags.opId) opId = cursor.readNumber(Number.MAX_SAFE_INTEGER);
      else if (tag === tags.lease) {
        if (!this.#findLease(cursor.readEnd(end))) return undefined;
        hasLease = true;
      } else if (tag === tags.change) {
        if (change !== undefined) return undefined;
        change = this.#readChange(cursor.readEnd(end));
        if (change === undefined) return undefined;
      } else if (tag === tags.afterRefused) afterRefused = cursor.readNumber(Number.MAX_SAFE_INTEGER);
      else return undefined;
    }
    if (cursor.failed || cursor.at !== end || opId === 0 || change === undefined || !hasLease) return undefined;
    const lease = this.#lease();
    if (lease === undefined) return undefined;
    if (change.type === "CompleteRun") this.#leases.forget(cursor.bytes, this.#places.leaseIdAt);
    return { opId, lease, changes: [change], afterRefused };
  }

  #findLease(end: number): boolean {
    const cursor = this.#cursor;
    const places = this.#places;
    places.runIdLength = 0;
    places.leaseIdAt = 0;
    places.epoch = 0;
    while (cursor.at < end) {
      const tag = cursor.bytes[cursor.at++];
      if (tag === leaseTags.epoch) places.epoch = cursor.readNumber(Number.MAX_SAFE_INTEGER);
      else {
        const partEnd = cursor.readEnd(end);
        if (partEnd < 0) return false;
        if (tag === leaseTags.runId) {
          places.runIdAt = cursor.at;
          places.runIdLength = partEnd - cursor.at;
        } else if (tag === leaseTags.leaseId && partEnd - cursor.at === leaseIdBytes) places.leaseIdAt = cursor.at;
        else return false;
        cursor.at = partEnd;
      }
    }
    return cursor.at === end && places.runIdLength > 0 && places.leaseIdAt > 0 && places.epoch > 0;
  }

  /** The lease that was found, with its texts. */
  #lease(): OpRequest["lease"] | undefined {
    const cursor = this.#cursor;
    const places = this.#places;
    const known = this.#leases.find(cursor.bytes, places);
    if (known !== undefined) return known;
    cursor.at = places.runIdAt; // one that is longer than a run id may be is no quick text either
    const runId = cursor.readText(places.runIdAt + places.runIdLength, lastControl);
    if (runId === undefined) return undefined;
    const leaseId = hexFrom(cursor.bytes.subarray(places.leaseIdAt, places.leaseIdAt + leaseIdBytes));
    const lease = { runId, leaseId, epoch: places.epoch };
    this.#leases.add(cursor.bytes, places, lease);
    return lease;
  }

  #readChange(end: number): Change | undefined {
    const cursor = this.#cursor;
    if (cursor.at >= end) return undefined;
    const tag = cursor.bytes[cursor.at++];
    // What followed it would be another of the oneof, or unknown.
    if (cursor.readEnd(end) !== end) return undefined;
    this.#output = undefined;
    if (tag === changeTags.completeStep) return this.#readCompleteStep(end);
    if (tag === changeTags.startStep) return this.#readStartStep(end);
    if (tag === changeTags.completeRun) return this.#readCompleteRun(end);
    return undefined;
  }

  #readCompleteStep(end: number): Change | undefined {
    const cursor = this.#cursor;
    let stepKey: string | undefined;
    let attempt = 0;
    let elapsedMs = 0;
    while (cursor.at < end) {
      const tag = cursor.bytes[cursor.at++];
      if (tag === stepKeyTag) {
        stepKey = this.#readStepKey(cursor.readEnd(end));
        if (stepKey === undefined) return undefined;
      } else if (tag === completeTags.attempt) attempt = cursor.readNumber(countMax);
      else if (tag === completeTags.elapsedMs) elapsedMs = cursor.readNumber(durationMsMax);
      else if (tag !== completeTags.output || !this.#readOutput(cursor.readEnd(end))) return undefined;
    }
    if (cursor.at !== end || stepKey === undefined) return undefined;
    return { type: "CompleteStep", stepKey, attempt, output: this.#output, elapsedMs };
  }

  #readStartStep(end: number): Change | undefined {
    const cursor = this.#cursor;
    let stepKey: string | undefined;
    let attempt = 0;
    let atMostOnce = 0;
    let timeoutMs = 0;
    while (cursor.at < end) {
      const tag = cursor.bytes[cursor.at++];
      if (tag === stepKeyTag) {
        stepKey = this.#readStepKey(cursor.readEnd(end));
        if (stepKey === undefined) return undefined;
      } else if (tag === startTags.attempt) attempt = cursor.readNumber(countMax);
      else if (tag === startTags.atMostOnce) atMostOnce = cursor.readNumber(1);
      else if (tag === startTags.timeoutMs) timeoutMs = cursor.readNumber(durationMsMax);
      else return undefined;
    }
    if (cursor.at !== end || stepKey === undefined) return undefined;
    return {
      type: "StartStep",
      stepKey,
      attempt,
      atMostOnce: atMostOnce === 1,
      timeoutMs,
      input: undefined,
      retryPolicy: undefined,
    };
  }

  #readCompleteRun(end: number): Change | undefined {
    const cursor = this.#cursor;
    if (cursor.at < end) {
      if (cursor.bytes[cursor.at++] !== outputOfRunTag || cursor.readEnd(end) !== end) return undefined;
      if (!this.#readOutput(end)) return undefined;
    }
    return { type: "CompleteRun", output: this.#output };
  }

  #readStepKey(end: number): string | undefined {
    const cursor = this.#cursor;
    const length = end - cursor.at;
    return length < 1 || length > stepKeyBytesMax ? undefined : cursor.readText(end, -1);
  }

  /** A plain payload, which has no encoding. */
  #readOutput(end: number): boolean {
    const cursor = this.#cursor;
    if (cursor.at === end) return true; // "no value"
    if (end < 0) return false;
    const tag = cursor.bytes[cursor.at++];
    if (cursor.readEnd(end) !== end || end - cursor.at > this.#payloadBytesMax) return false;
    if (tag === payloadTags.bytes) {
      this.#output = { data: new Uint8Array(cursor.bytes.subarray(cursor.at, end)), encoding: "" };
      cursor.at = end;
      return true;
    }
    const text = tag === payloadTags.json ? cursor.readText(end, -1) : undefined;
    if (text === undefined || !isJson(text)) return false;
    this.#output = { data: text, encoding: "" };
    return true;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
