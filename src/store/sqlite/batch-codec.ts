import { eventTypes } from "../../core/event.ts";
import { finalStatuses } from "../../core/state.ts";
import type { Batch } from "../store.ts";
import { type EventValues, encodeDetail } from "./event-codec.ts";
import { pushRun, type RunValue } from "./run-codec.ts";

// One batch as one message between threads. Objects cost a structured clone for each of their properties, and strings
// one for each of them, so events go as one array of numbers (moved, not copied), one text and one run of bytes, which
// hold what the events have end to end.

export interface BatchMessage {
  commitNo: number;
  newestAtMs: number;
  eventCount: number;
  numbers: Float64Array<ArrayBuffer>;
  text: string;
  bytes: Uint8Array<ArrayBuffer>;
  runs: RunValue[];
  /** Four values for each change; a due time of null deletes. */
  deadlines: RunValue[];
}

const numbersPerEvent = 13;
const hasText = 1;
const hasBytes = 2;
const hasDetail = 4;

export function encodeBatch(batch: Batch): BatchMessage {
  const { events } = batch;
  const numbers = new Float64Array(events.length * numbersPerEvent);
  const texts: string[] = [];
  const chunks: Uint8Array[] = [];
  let bytesLength = 0;
  let at = 0;
  for (const { runNo, event } of events) {
    const { stepKey, payload } = event;
    let flags = 0;
    let length = 0;
    if (stepKey !== "") texts.push(stepKey);
    if (payload !== undefined) {
      length = payload.data.length;
      if (typeof payload.data === "string") {
        flags |= hasText;
        texts.push(payload.data);
      } else {
        flags |= hasBytes;
        bytesLength += length;
        chunks.push(payload.data);
      }
      if (payload.encoding !== "") texts.push(payload.encoding);
    }
    const detail = encodeDetail(event);
    if (detail !== null) {
      flags |= hasDetail;
      texts.push(detail);
    }
    numbers[at] = runNo;
    numbers[at + 1] = event.seq;
    numbers[at + 2] = eventTypes[event.type];
    numbers[at + 3] = event.epoch;
    numbers[at + 4] = event.opId;
    numbers[at + 5] = event.startedAtMs;
    numbers[at + 6] = event.atMs;
    numbers[at + 7] = event.opDigest;
    numbers[at + 8] = flags;
    numbers[at + 9] = stepKey.length;
    numbers[at + 10] = length;
    numbers[at + 11] = payload?.encoding.length ?? 0;
    numbers[at + 12] = detail?.length ?? 0;
    at += numbersPerEvent;
  }
  return {
    commitNo: batch.commitNo,
    newestAtMs: batch.newestAtMs,
    eventCount: events.length,
    numbers,
    text: texts.join(""),
    bytes: concat(chunks, bytesLength),
    runs: encodeRuns(batch),
    deadlines: encodeDeadlines(batch),
  };
}

/** Also frees the payloads from larger buffers that they may be views of: a clone would copy those. */
function concat(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Closed runs first: a run key that one run frees and another takes in the same batch is no conflict. */
function encodeRuns({ runs, commitNo }: Batch): RunValue[] {
  const values: RunValue[] = [];
  for (const row of runs) if (finalStatuses.has(row.status)) pushRun(values, row, commitNo);
  for (const row of runs) if (!finalStatuses.has(row.status)) pushRun(values, row, commitNo);
  return values;
}

function encodeDeadlines({ deadlines }: Batch): RunValue[] {
  const values: RunValue[] = [];
  for (const change of deadlines) {
    values.push(change.runNo, change.kind, change.stepKey, change.op === "put" ? change.dueAtMs : null);
  }
  return values;
}

/** Calls back with the columns of each event; the array is the same one each time. */
export function decodeEvents(message: BatchMessage, each: (values: EventValues) => void): void {
  const { numbers, text, bytes } = message;
  const values: EventValues = [0, 0, 0, 0, 0, "", 0, 0, null, "", null, 0];
  let character = 0;
  let byte = 0;
  const take = (length: number): string => {
    if (length === 0) return "";
    character += length;
    return text.slice(character - length, character);
  };
  for (let at = 0; at < numbers.length; at += numbersPerEvent) {
    const flags = numbers[at + 8] as number;
    const length = numbers[at + 10] as number;
    values[0] = numbers[at] as number;
    values[1] = numbers[at + 1] as number;
    values[2] = numbers[at + 2] as number;
    values[3] = numbers[at + 3] as number;
    values[4] = numbers[at + 4] as number;
    values[5] = take(numbers[at + 9] as number);
    values[6] = numbers[at + 5] as number;
    values[7] = numbers[at + 6] as number;
    values[8] = null;
    if (flags & hasText) values[8] = take(length);
    else if (flags & hasBytes) {
      values[8] = bytes.subarray(byte, byte + length);
      byte += length;
    }
    values[9] = take(numbers[at + 11] as number);
    values[10] = flags & hasDetail ? take(numbers[at + 12] as number) : null;
    values[11] = numbers[at + 7] as number;
    each(values);
  }
}
