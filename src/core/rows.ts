import { runsHere } from "./open-starts.ts";
import { type Deadline, finalStatuses, type RunState } from "./state.ts";

// What rows say of a run, derived from its state. The engine writes them, verify recomputes them.

/** One urgency step is worth this much waiting: a run of priority 9 overtakes one of priority 0 that is 9 minutes younger. */
export const priorityStepMs = 60_000;

/** Place in its line: priority with ageing, without ever re-sorting. Lower is sooner. */
export function rankOf(state: RunState): number {
  return state.availableAtMs + state.priority * priorityStepMs;
}

/** All instants at which the server has to do something about the run. None once it is closed. */
export function deadlinesOf(state: RunState, inLine: boolean): Deadline[] {
  if (finalStatuses.has(state.status)) return [];
  const deadlines: Deadline[] = [];
  for (const [stepKey, timer] of state.timers) deadlines.push({ kind: "timer", stepKey, dueAtMs: timer.firesAtMs });
  if (state.timeoutAtMs !== 0) deadlines.push({ kind: "runTimeout", stepKey: "", dueAtMs: state.timeoutAtMs });
  if (state.cancel !== undefined) deadlines.push({ kind: "cancel", stepKey: "", dueAtMs: state.cancel.deadlineAtMs });
  if (state.status === "QUEUED" && !inLine) {
    deadlines.push({ kind: "available", stepKey: "", dueAtMs: state.availableAtMs });
  }
  if (state.status === "WAITING") {
    for (const awaited of state.awaits) {
      if (awaited.kind !== "retry") continue;
      const step = state.steps.get(awaited.stepKey);
      if (step !== undefined) deadlines.push({ kind: "retry", stepKey: awaited.stepKey, dueAtMs: step.retryAtMs });
    }
  }
  if (state.lease !== undefined) {
    if (state.pauseDeadlineAtMs !== 0) deadlines.push({ kind: "pause", stepKey: "", dueAtMs: state.pauseDeadlineAtMs });
    for (const [stepKey, step] of state.steps) {
      if (step.timeoutAtMs !== 0 && runsHere(state, step)) {
        deadlines.push({ kind: "stepTimeout", stepKey, dueAtMs: step.timeoutAtMs });
      }
    }
  }
  return deadlines;
}
