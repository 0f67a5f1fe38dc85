import type { RunEvent } from "../core/event.ts";
import type { Payload } from "../core/payload.ts";
import type { HistoryPage, Store } from "../store/store.ts";
import type { RunEntry } from "./run-table.ts";

// Single events of a run as decided: those that are not durable are in memory, the others in the file.

/** The page with nothing but an event that the file is known to have. */
export function oneAt(seq: number): HistoryPage {
  return { afterSeq: seq - 1, limit: 1, bytesMax: Number.MAX_SAFE_INTEGER, throughSeq: seq };
}

export function readEvent(store: Store, entry: RunEntry, seq: number): RunEvent | undefined {
  const first = entry.undurable[0];
  if (first !== undefined && seq >= first.seq) return entry.undurable[seq - first.seq];
  return store.readEvents(entry.state.runNo, oneAt(seq))[0];
}

export function readPayload(store: Store, entry: RunEntry, seq: number): Payload | undefined {
  return readEvent(store, entry, seq)?.payload;
}

/** Events with fromSeq <= seq <= throughSeq. */
export function readRange(store: Store, entry: RunEntry, fromSeq: number, throughSeq: number): RunEvent[] {
  const events: RunEvent[] = [];
  for (let seq = fromSeq; seq <= throughSeq; seq++) {
    const event = readEvent(store, entry, seq);
    if (event !== undefined) events.push(event);
  }
  return events;
}
