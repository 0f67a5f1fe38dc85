import type { RunState } from "./state.ts";

// The moves of a run's status, shared by everything that folds events.

export function setStatus(state: RunState, status: RunState["status"]): void {
  state.status = status;
  state.version += 1;
}

/** Into the line, now. */
export function enqueue(state: RunState, availableAtMs: number): void {
  state.availableAtMs = availableAtMs;
  state.awaits = [];
  setStatus(state, "QUEUED");
}

export function close(
  state: RunState,
  status: "COMPLETED" | "FAILED" | "CANCELLED" | "TERMINATED",
  atMs: number,
): void {
  state.closedAtMs = atMs;
  state.pauseReason = undefined;
  state.pauseDeadlineAtMs = 0;
  state.awaits = [];
  setStatus(state, status);
}

/** A step result, a consumed signal or a suspend that waits: the run got on. */
export function progress(state: RunState): void {
  state.deliveries = 0;
  state.expiries = 0;
}
