import { crc32 } from "node:zlib";
import { detailBytes } from "../../core/decision.ts";
import { type EventOf, type EventTypeName, eventTypeNames, type RunEvent } from "../../core/event.ts";
import { type Payload, payloadBytes } from "../../core/payload.ts";
import { CorruptRowError } from "../store.ts";

// An event as a row. The CRC covers every column in one canonical form, so that a flipped bit anywhere is noticed when
// the row is read, by the one run that it concerns.

/** The columns that the file keeps, in order, without the CRC. */
export type EventValues = [
  runNo: number,
  seq: number,
  type: number,
  epoch: number,
  opId: number,
  stepKey: string,
  startedAtMs: number,
  atMs: number,
  payload: string | Uint8Array | null,
  encoding: string,
  detail: string | null,
  opDigest: number,
];

export const eventColumns =
  "run_no, seq, type, epoch, op_id, step_key, started_at_ms, at_ms, payload, encoding, detail, op_digest, crc";

/** Types whose detail can hold bytes: those with a failure in it. */
const failureTypes: ReadonlySet<EventTypeName> = new Set(["StepAttemptFailed", "StepFailed", "RunFailed"]);

export function encodeDetail(event: RunEvent): string | null {
  if (event.detail === undefined) return null;
  return JSON.stringify(failureTypes.has(event.type) ? tagBytes(event.detail) : event.detail);
}

function tagBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(tagBytes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, tagBytes(inner)]));
}

function decodeDetail(text: string | null): unknown {
  if (text === null) return undefined;
  if (!text.includes('"$bytes"')) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== "object" || value === null || !("$bytes" in value)) return value;
    return new Uint8Array(Buffer.from(value.$bytes as string, "base64"));
  });
}

const headBytes = 8 * 8 + 1 + 4 * 4;
const scratchBytes = 256 * 1024;
const scratch = bytesWithView(scratchBytes);
const noText = 0xffff_ffff;
/** Views of the scratch by their length: making one costs more than the sum over a short row. */
const heads: Uint8Array[] = [];
const headsMax = 1_024;

/** As a signed number: SQLite keeps it in four bytes. */
export function crcOf(values: EventValues): number {
  const [runNo, seq, type, epoch, opId, stepKey, startedAtMs, atMs, payload, encoding, detail, opDigest] = values;
  const most =
    headBytes + 3 * (stepKey.length + (payload?.length ?? 0) + encoding.length + (detail === null ? 0 : detail.length));
  const { bytes, view } = most <= scratchBytes ? scratch : bytesWithView(most);
  view.setFloat64(0, runNo, true);
  view.setFloat64(8, seq, true);
  view.setFloat64(16, type, true);
  view.setFloat64(24, epoch, true);
  view.setFloat64(32, opId, true);
  view.setFloat64(40, startedAtMs, true);
  view.setFloat64(48, atMs, true);
  view.setFloat64(56, opDigest, true);
  bytes[64] = payload === null ? 0 : typeof payload === "string" ? 1 : 2;
  let end = headBytes;
  const put = (value: string | Uint8Array | null, lengthAt: number): void => {
    let length = 0;
    if (typeof value === "string") length = value === "" ? 0 : bytes.write(value, end, "utf8");
    else if (value !== null) {
      bytes.set(value, end);
      length = value.length;
    }
    view.setUint32(lengthAt, value === null ? noText : length, true);
    end += length;
  };
  put(stepKey, 65);
  put(payload, 69);
  put(encoding, 73);
  put(detail, 77);
  if (end >= headsMax) return crc32(bytes.subarray(0, end)) | 0;
  heads[end] ??= scratch.bytes.subarray(0, end);
  return crc32(heads[end] as Uint8Array) | 0;
}

function bytesWithView(length: number) {
  const bytes = Buffer.alloc(length);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, length) };
}

/** A damaged row may hold a value of any type in any column; a CRC is made of those that were written. */
function hasTypes(row: unknown[]): boolean {
  const [payload, detail] = [row[8], row[10]];
  return (
    typeof row[0] === "number" &&
    typeof row[1] === "number" &&
    typeof row[2] === "number" &&
    typeof row[3] === "number" &&
    typeof row[4] === "number" &&
    typeof row[5] === "string" &&
    typeof row[6] === "number" &&
    typeof row[7] === "number" &&
    (payload === null || typeof payload === "string" || payload instanceof Uint8Array) &&
    typeof row[9] === "string" &&
    (detail === null || typeof detail === "string") &&
    typeof row[11] === "number"
  );
}

/** From the columns in order. Throws CorruptRowError when they are not what was written. */
export function decodeEvent(row: unknown[]): RunEvent {
  const values = row as unknown as EventValues;
  const [runNo, seq, typeNo, epoch, opId, stepKey, startedAtMs, atMs, data, encoding, detailText, opDigest] = values;
  if (!hasTypes(row) || crcOf(values) !== row[12])
    throw new CorruptRowError(runNo, seq, "the row is not what was written (CRC)");
  const type = eventTypeNames[typeNo];
  if (type === undefined) throw new CorruptRowError(runNo, seq, `unknown event type ${typeNo}`);
  let detail: unknown;
  try {
    detail = decodeDetail(detailText);
  } catch (error) {
    throw new CorruptRowError(runNo, seq, `its detail cannot be decoded: ${String(error)}`);
  }
  const payload = payloadOf(data, encoding);
  const event: EventOf<EventTypeName> = {
    type,
    seq,
    atMs,
    epoch,
    opId,
    opDigest,
    stepKey,
    startedAtMs,
    payload,
    bytes: payloadBytes(payload) + detailBytes(detail),
    detail: detail as EventOf<EventTypeName>["detail"],
  };
  return event as RunEvent;
}

function payloadOf(data: string | Uint8Array | null, encoding: string): Payload | undefined {
  if (data === null) return undefined;
  // A Buffer of the driver becomes the plain array that the engine gave.
  if (typeof data !== "string") data = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { data, encoding };
}
