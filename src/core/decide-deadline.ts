import type { DeadlineDue } from "./command.ts";
import { isUncertain, revokeIfLeased } from "./decide-run.ts";
import { failAttempt } from "./decide-step.ts";
import { type Accepted, accept, alreadyApplied, type DecideContext, sequence } from "./decision.ts";
import type { Refusal } from "./errors.ts";
import type { RunEvent } from "./event.ts";
import { limitFailure, reserveIsSpent } from "./history-limit.ts";
import { runsHere } from "./open-starts.ts";
import { unreachable } from "./unreachable.ts";
import { finalStatuses, type RunState } from "./state.ts";

// A stored instant has come. Each case first asks whether what it stood for is still there: a deadline row may be
// older than the decision that made it void.

export function decideDeadline(state: RunState, due: DeadlineDue, context: DecideContext): Accepted | Refusal {
  if (finalStatuses.has(state.status)) return alreadyApplied();
  const next = sequence(state, context.nowMs);
  switch (due.kind) {
    case "timer": {
      const timer = state.timers.get(due.stepKey);
      if (timer === undefined || timer.firesAtMs > context.nowMs) return alreadyApplied();
      if (reserveIsSpent(state, context)) return closeAtLimit(state, next);
      return accept([next("TimerFired", undefined, { stepKey: due.stepKey })]);
    }
    case "retry": {
      const step = state.steps.get(due.stepKey);
      const waits = state.awaits.some((awaited) => awaited.kind === "retry" && awaited.stepKey === due.stepKey);
      if (state.status !== "WAITING" || !waits || step?.status !== "retrying") return alreadyApplied();
      if (step.retryAtMs > context.nowMs) return alreadyApplied();
      if (reserveIsSpent(state, context)) return closeAtLimit(state, next);
      return accept([next("RetryDue", undefined, { stepKey: due.stepKey })]);
    }
    case "available":
      return accept([]);
    case "runTimeout": {
      if (state.timeoutAtMs === 0 || state.timeoutAtMs > context.nowMs) return alreadyApplied();
      const events = revokeIfLeased(state, next);
      const failure = { type: "RunTimeout", message: `the run did not end within ${state.runTimeoutMs} ms` };
      events.push(next("RunFailed", { failure }));
      return accept(events);
    }
    case "cancel": {
      if (state.cancel === undefined || state.cancel.deadlineAtMs > context.nowMs) return alreadyApplied();
      const events = revokeIfLeased(state, next);
      events.push(next("RunCancelled", state.cancel.reason === "" ? {} : { reason: state.cancel.reason }));
      return accept(events);
    }
    case "pause": {
      if (state.lease === undefined || state.pauseDeadlineAtMs === 0) return alreadyApplied();
      if (state.pauseDeadlineAtMs > context.nowMs) return alreadyApplied();
      const events = revokeIfLeased(state, next);
      const text = state.pauseText === "" ? {} : { text: state.pauseText };
      // Its grace was not enough for an at-most-once step: whoever resumes has to say what became of it.
      const reason = isUncertain(state) ? "UNCERTAIN_EFFECT" : "REQUESTED";
      events.push(next("RunPaused", { reason, ...text }));
      return accept(events);
    }
    case "stepTimeout":
      return decideStepTimeout(state, due.stepKey, context);
    default:
      return unreachable(due.kind);
  }
}

function closeAtLimit(state: RunState, next: ReturnType<typeof sequence>): Accepted {
  const events = revokeIfLeased(state, next);
  events.push(next("RunFailed", { failure: limitFailure(state) }));
  return accept(events);
}

/** The worker's own clock fires first as a rule; this is for workers that hang. Whoever reports first is recorded. */
function decideStepTimeout(state: RunState, stepKey: string, context: DecideContext): Accepted | Refusal {
  const step = state.steps.get(stepKey);
  if (state.lease === undefined || step === undefined || !runsHere(state, step)) return alreadyApplied();
  if (step.timeoutAtMs === 0 || step.timeoutAtMs > context.nowMs) return alreadyApplied();
  if (reserveIsSpent(state, context)) return closeAtLimit(state, sequence(state, context.nowMs));
  const failure = {
    type: "StepTimeout",
    message: `attempt ${step.attempt} took over ${step.timeoutAtMs - step.startedAtMs} ms`,
  };
  const decided = failAttempt(
    state,
    {
      ...context,
      index: 0,
      next: sequence(state, context.nowMs),
      epoch: state.lease.epoch,
      opId: 0,
      opDigest: 0,
      onSession: true,
    },
    { stepKey, attempt: step.attempt, startedAtMs: step.startedAtMs, failure, policy: step.retryPolicy },
  );
  const events: readonly RunEvent[] = decided.kind === "events" ? decided.events : [];
  return accept(events);
}
