import { type EventMore, newEvent } from "../../core/decision.ts";
import type { EventDetails, EventTypeName, RunEvent } from "../../core/event.ts";
import { evolve } from "../../core/evolve.ts";
import { createState } from "../../core/new-state.ts";
import type { RunState } from "../../core/state.ts";

/** Writes a history event by event, and folds it: what follows from it is never said twice. */
export interface HistoryWriter {
  readonly state: RunState;
  readonly events: readonly RunEvent[];
  /** Unix seconds of the seed as an instant of the history: not before the last event, and not in the future. */
  instant(seconds: number | null): number;
  add<T extends EventTypeName>(type: T, atMs: number, detail: EventDetails[T], more?: EventMore): RunEvent;
}

export function createHistoryWriter(
  identity: { runNo: number; namespace: string; runId: string },
  nowMs: number,
): HistoryWriter {
  const state = createState(identity);
  const events: RunEvent[] = [];
  return {
    state,
    events,
    instant(seconds) {
      const ms = typeof seconds === "number" && Number.isFinite(seconds) ? Math.round(seconds * 1_000) : 0;
      return Math.min(Math.max(ms, state.updatedAtMs, 1), nowMs);
    },
    add(type, atMs, detail, more = {}) {
      const event = newEvent(type, state.lastSeq + 1, atMs, detail, { epoch: state.lease?.epoch ?? 0, ...more });
      evolve(state, event);
      events.push(event);
      return event;
    },
  };
}
