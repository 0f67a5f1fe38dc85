import { finalStatuses, type RunState } from "../core/state.ts";
import type { Explanation, RunRef } from "./api.ts";
import type { Kernel } from "./kernel.ts";
import { durationText } from "./duration-text.ts";
import { foldRun, getRun, rowOf, timersOf } from "./queries.ts";

// What a run waits for and what will move it: the answer to "why does nothing happen?".

export async function explainRun(kernel: Kernel, ref: RunRef): Promise<Explanation> {
  const row = rowOf(kernel, ref);
  const run = getRun(kernel, ref);
  const state = await foldRun(kernel, row);
  const lease = kernel.leases.ofRun(row.runNo);
  const leaseRemainingMs =
    lease === undefined || lease.ending ? 0 : Math.max(0, Math.round(lease.expiresAtMs - kernel.clock.elapsedMs()));
  const queueServed = kernel.takers.serves(state);
  return {
    run,
    text: explain(state, kernel.time.nowMs(), leaseRemainingMs, queueServed),
    awaits: state.status === "WAITING" ? state.awaits : [],
    timers: timersOf(state),
    openSignals: state.signals.length,
    leaseRemainingMs,
    queueServed,
    deliveriesSinceProgress: state.deliveries,
  };
}

function explain(state: RunState, nowMs: number, leaseRemainingMs: number, queueServed: boolean): string {
  const cancel = state.cancel === undefined || finalStatuses.has(state.status) ? "" : " A cancel is pending.";
  switch (state.status) {
    case "QUEUED": {
      if (state.availableAtMs > nowMs)
        return `It becomes available in ${durationText(state.availableAtMs - nowMs)}.${cancel}`;
      const served = queueServed
        ? "A worker serves this line and will get it as soon as it has room."
        : `No connected worker serves workflow "${state.workflow}" in queue "${state.queue}".`;
      return `It waits in its line. ${served}${cancel}`;
    }
    case "RUNNING":
      return `Worker "${state.lease?.workerId ?? ""}" holds it under epoch ${state.epoch}; the lease ends in ${durationText(leaseRemainingMs)} unless renewed.${cancel}`;
    case "WAITING": {
      const parts = state.awaits.map((awaited) => {
        if (awaited.kind === "any") return "the next signal or timer";
        if (awaited.kind === "signal") return `signal "${awaited.name}"`;
        const dueAtMs =
          awaited.kind === "timer"
            ? state.timers.get(awaited.stepKey)?.firesAtMs
            : state.steps.get(awaited.stepKey)?.retryAtMs;
        return `the ${awaited.kind} of step "${awaited.stepKey}" in ${durationText(Math.max(0, (dueAtMs ?? nowMs) - nowMs))}`;
      });
      return `It waits for ${parts.join(" or ")}.${cancel}`;
    }
    case "PAUSED":
      return `It is paused (${state.pauseReason ?? "REQUESTED"}) until ResumeRun.${cancel}`;
    default:
      return `It is closed: ${state.status}.`;
  }
}
