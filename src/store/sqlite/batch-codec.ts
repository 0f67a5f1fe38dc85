import { eventTypes } from "../../core/event.ts";
import { finalStatuses } from "../../core/state.ts";
import type { Batch } from "../store.ts";
import { type EventValues, encodeDetail } from "./event-codec.ts";
import { pushRun, type RunValue } from "./run-codec.ts";

// One batch as one message between threads. Objects cost a structured clone for each of their properties, so events go
// as one array of numbers (moved, not copied), one list of texts and one run of bytes.

export interface BatchMessage {
  commitNo: number;
  newestAtMs: number;
  eventCount: number;
  numbers: Float64Array<ArrayBuffer>;
  texts: string[];
  bytes: Uint8Array<ArrayBuffer>;
  runs: RunValue[];
  /** Four values for each change; a due time of null deletes. */
  deadlines: RunValue[];
}

const numbersPerEvent = 10;
const hasStepKey = 1;
const hasText = 2;
const hasBytes = 4;
const hasEncoding = 8;
const hasDetail = 16;

export function encodeBatch(batch: Batch): BatchMessage {
  const { events } = batch;
  const numbers = new Float64Array(events.length * numbersPerEvent);
  const texts: string[] = [];
  const chunks: Uint8Array[] = [];
  let bytesLength = 0;
  let at = 0;
  for (const { runNo, event } of events) {
    const { payload } = event;
    let flags = 0;
    let length = 0;
    if (event.stepKey !== "") {
      flags |= hasStepKey;
      texts.push(event.stepKey);
    }
    if (payload !== undefined) {
      if (typeof payload.data === "string") {
        flags |= hasText;
        texts.push(payload.data);
      } else {
        flags |= hasBytes;
        length = payload.data.length;
        bytesLength += length;
        chunks.push(payload.data);
      }
      if (payload.encoding !== "") {
        flags |= hasEncoding;
        texts.push(payload.encoding);
      }
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
    numbers[at + 9] = length;
    at += numbersPerEvent;
  }
  return {
    commitNo: batch.commitNo,
    newestAtMs: batch.newestAtMs,
    eventCount: events.length,
    numbers,
    texts,
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
  const { numbers, texts, bytes } = message;
  const values: EventValues = [0, 0, 0, 0, 0, "", 0, 0, null, "", null, 0];
  let text = 0;
  let byte = 0;
  for (let at = 0; at < numbers.length; at += numbersPerEvent) {
    const flags = numbers[at + 8] as number;
    values[0] = numbers[at] as number;
    values[1] = numbers[at + 1] as number;
    values[2] = numbers[at + 2] as number;
    values[3] = numbers[at + 3] as number;
    values[4] = numbers[at + 4] as number;
    values[5] = flags & hasStepKey ? (texts[text++] as string) : "";
    values[6] = numbers[at + 5] as number;
    values[7] = numbers[at + 6] as number;
    values[8] = null;
    if (flags & hasText) values[8] = texts[text++] as string;
    else if (flags & hasBytes) {
      const length = numbers[at + 9] as number;
      values[8] = bytes.subarray(byte, byte + length);
      byte += length;
    }
    values[9] = flags & hasEncoding ? (texts[text++] as string) : "";
    values[10] = flags & hasDetail ? (texts[text++] as string) : null;
    values[11] = numbers[at + 7] as number;
    each(values);
  }
}
