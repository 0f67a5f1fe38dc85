import { sequence } from "./decision.ts";
import type { RunEvent } from "./event.ts";
import type { PendingStart, RunState, StepState } from "./state.ts";

// A StartStep has no event as long as its completion may come in the same batch; see PendingStart.

/** A step that was started under the live lease and has no result; those of earlier leases were lost with them. */
export function runsHere(state: RunState, step: StepState): boolean {
  return step.status === "running" && state.lease !== undefined && step.seq > state.lease.grantedSeq;
}

/** The starts that are still open when their batch is sealed become events of their own. */
export function sealStarts(state: RunState, nowMs: number): RunEvent[] {
  if (state.pendingStarts.size === 0) return [];
  return openStarts(state, sequence(state, nowMs));
}

/**
 * The open starts as events. Also written before the server ends a lease: what was started must be in the history,
 * or nobody would know that an at-most-once step may have happened.
 */
export function openStarts(state: RunState, next: ReturnType<typeof sequence>): RunEvent[] {
  const { lease } = state;
  if (lease === undefined) return [];
  return [...state.pendingStarts].map(([stepKey, start]) => startedEvent(stepKey, start, lease.epoch, next));
}

export function startedEvent(
  stepKey: string,
  start: PendingStart,
  epoch: number,
  next: ReturnType<typeof sequence>,
): RunEvent {
  const { attempt, atMostOnce, timeoutMs, retryPolicy, startedAtMs, input, opId, opDigest } = start;
  const detail = {
    attempt,
    ...(atMostOnce ? { atMostOnce } : {}),
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
    ...(retryPolicy === undefined ? {} : { retryPolicy }),
  };
  return next("StepStarted", detail, { stepKey, startedAtMs, payload: input, epoch, opId, opDigest });
}
