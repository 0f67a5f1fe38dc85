import { expiryBackoffMs } from "./backoff.ts";
import type { EndLease, ExtendLease, Grant, LeaseRef, ReleaseLease } from "./command.ts";
import { isUncertain } from "./decide-run.ts";
import { type Accepted, accept, alreadyApplied, type DecideContext, sequence } from "./decision.ts";
import { type Refusal, refuse } from "./errors.ts";
import type { EventDetails, RunEvent } from "./event.ts";
import { historyLimit, limitFailure, reserveIsSpent } from "./history-limit.ts";
import { openStarts } from "./open-starts.ts";
import type { RunState } from "./state.ts";

// A lease begins with LeaseGranted and ends with LeaseEnded; the epoch in between fences every write.

export function decideGrant(state: RunState, command: Grant, context: DecideContext): Accepted | Refusal {
  if (state.status !== "QUEUED" || state.availableAtMs > context.nowMs) {
    return refuse("INVALID_STATE", `run is ${state.status}`);
  }
  const next = sequence(state, context.nowMs);
  if (reserveIsSpent(state, context)) {
    return accept([next("RunFailed", { failure: limitFailure(state) })]);
  }
  const events: RunEvent[] = [];
  if (state.cancel !== undefined && !state.cancel.delivered) {
    events.push(next("CancelDelivered", { deadlineAtMs: context.nowMs + state.cancel.graceMs }));
  }
  const detail: EventDetails["LeaseGranted"] = {
    leaseId: command.leaseId,
    ttlMs: command.ttlMs,
    workerId: command.workerId,
  };
  if (command.instanceId !== "") detail.instanceId = command.instanceId;
  if (command.requestId !== "") detail.requestId = command.requestId;
  events.push(next("LeaseGranted", detail, { epoch: state.epoch + 1 }));
  return accept(events);
}

/** The fence: every write, renewal and release is checked here. */
export function holdsLease(state: RunState, lease: LeaseRef): boolean {
  return state.lease !== undefined && state.lease.leaseId === lease.leaseId && state.lease.epoch === lease.epoch;
}

export function leaseLost(state: RunState, lease: LeaseRef): Refusal {
  const held = state.lease === undefined ? `run is ${state.status}` : `epoch ${state.lease.epoch} holds the run`;
  return refuse("LEASE_LOST", `the lease with epoch ${lease.epoch} is not the live one: ${held}`);
}

export function decideExtend(state: RunState, command: ExtendLease, context: DecideContext): Accepted | Refusal {
  if (!holdsLease(state, command.lease)) return leaseLost(state, command.lease);
  if (command.ttlMs <= (state.lease?.ttlMs ?? 0)) return alreadyApplied();
  if (reserveIsSpent(state, context)) return historyLimit(state);
  const next = sequence(state, context.nowMs);
  return accept([next("LeaseExtended", { ttlMs: command.ttlMs }, { epoch: command.lease.epoch })]);
}

export function decideRelease(state: RunState, command: ReleaseLease, context: DecideContext): Accepted | Refusal {
  if (!holdsLease(state, command.lease)) return leaseLost(state, command.lease);
  return accept(endLease(state, context, { reason: "RELEASED", availableAtMs: context.nowMs + command.retryAfterMs }));
}

export function decideEndLease(state: RunState, command: EndLease, context: DecideContext): Accepted | Refusal {
  if (state.lease === undefined || state.lease.leaseId !== command.leaseId) return alreadyApplied();
  const backoffMs = command.reason === "EXPIRED" ? expiryBackoffMs(state.expiries) : 0;
  return accept(
    endLease(state, context, {
      reason: command.reason,
      uncounted: command.uncounted,
      availableAtMs: context.nowMs + backoffMs,
    }),
  );
}

/**
 * LeaseEnded and what follows from it. The run goes back into its line unless something holds it: a pause that waits
 * for this moment, a step whose effect is uncertain, a spent delivery budget. A pending cancel turns the last two into
 * the end of the run.
 */
function endLease(
  state: RunState,
  context: DecideContext,
  end: { reason: EventDetails["LeaseEnded"]["reason"]; uncounted?: boolean; availableAtMs: number },
): RunEvent[] {
  const next = sequence(state, context.nowMs);
  const epoch = state.lease?.epoch ?? 0;
  const detail: EventDetails["LeaseEnded"] = { reason: end.reason };
  if (end.uncounted === true) detail.uncounted = true;
  if (end.availableAtMs > context.nowMs) detail.availableAtMs = end.availableAtMs;
  const events = [...openStarts(state, next), next("LeaseEnded", detail, { epoch })];
  const uncertain = isUncertain(state);
  const deliveries = state.deliveries - (end.uncounted === true ? 1 : 0);
  const spent = deliveries >= context.limits.deliveriesMax;
  if (uncertain || spent) {
    if (state.cancel !== undefined) {
      events.push(next("RunCancelled", state.cancel.reason === "" ? {} : { reason: state.cancel.reason }));
    } else events.push(next("RunPaused", { reason: uncertain ? "UNCERTAIN_EFFECT" : "DELIVERY_BUDGET" }));
  } else if (state.pauseDeadlineAtMs !== 0) {
    events.push(
      next("RunPaused", { reason: "REQUESTED", ...(state.pauseText === "" ? {} : { text: state.pauseText }) }),
    );
  }
  return events;
}
