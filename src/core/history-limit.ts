import type { DecideContext } from "./decision.ts";
import { type Refusal, refuse } from "./errors.ts";
import type { RunState } from "./state.ts";

// A history is bounded. At the limit, changes that add steps, timers, attempts or signals are refused; a reserve is
// kept for the server's own events and for ending the run; when only ten places are left the server closes it.

export function atHistoryLimit(state: RunState, context: DecideContext, addedBytes: number): boolean {
  const { historyEventsMax, historyBytesMax } = context.limits;
  return (
    state.lastSeq + state.pendingStarts.size >= historyEventsMax || state.historyBytes + addedBytes > historyBytesMax
  );
}

/** Only ten events are left of the reserve. */
export function reserveIsSpent(state: RunState, context: DecideContext): boolean {
  return state.lastSeq >= context.limits.historyEventsMax + context.limits.reservedEvents - 10;
}

export function historyLimit(state: RunState): Refusal {
  return refuse(
    "HISTORY_LIMIT",
    `the history of the run is at its limit (${state.lastSeq} events, ${state.historyBytes} bytes)`,
  );
}
