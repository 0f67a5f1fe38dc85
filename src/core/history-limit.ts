import type { DecideContext } from "./decision.ts";
import { type Refusal, refuse } from "./errors.ts";
import type { RunEvent } from "./event.ts";
import { eventOverheadBytes } from "./evolve.ts";
import type { Failure } from "./failure.ts";
import type { RunState } from "./state.ts";

// A history is bounded. At the limit, changes that add steps, timers, attempts or signals are refused; a reserve is
// kept for the server's own events and for ending the run; when only ten places are left the server closes it.

export function atHistoryLimit(state: RunState, context: DecideContext, addedBytes: number): boolean {
  const { historyEventsMax, historyBytesMax } = context.limits;
  return (
    state.lastSeq + state.pendingStarts.size >= historyEventsMax || state.historyBytes + addedBytes > historyBytesMax
  );
}

/** Kept to the last for the end of the run: a lease that ends, what somebody asked for meanwhile, the final event. */
const lastEvents = 10;

/** Only the last events are left of the reserve. */
export function reserveIsSpent(state: RunState, context: DecideContext): boolean {
  return state.lastSeq >= context.limits.historyEventsMax + context.limits.reservedEvents - lastEvents;
}

/** Whether an op with these events finds no place; one that ends its lease may use the last ones, however large. */
export function exceedsReserve(
  state: RunState,
  context: DecideContext,
  added: readonly RunEvent[],
  ends: boolean,
): boolean {
  const { historyEventsMax, reservedEvents, historyBytesMax, reservedBytes } = context.limits;
  const lastSeq = state.lastSeq + added.length;
  if (ends) return lastSeq > historyEventsMax + reservedEvents;
  let bytes = state.historyBytes;
  for (const event of added) bytes += event.bytes + eventOverheadBytes;
  return lastSeq > historyEventsMax + reservedEvents - lastEvents || bytes > historyBytesMax + reservedBytes;
}

export function limitFailure(state: RunState): Failure {
  return { type: "HISTORY_LIMIT", message: `the history has ${state.lastSeq} events, the limit` };
}

export function historyLimit(state: RunState): Refusal {
  return refuse(
    "HISTORY_LIMIT",
    `the history of the run is at its limit (${state.lastSeq} events, ${state.historyBytes} bytes)`,
  );
}
