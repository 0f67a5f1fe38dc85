import type { Change } from "./command.ts";
import { type ChangeContext, type ChangeDecision, opColumns, recorded } from "./decide-step.ts";
import { consumeReserved } from "./decide-signal.ts";
import { refuse } from "./errors.ts";
import type { RunEvent } from "./event.ts";
import type { RunState } from "./state.ts";

// The worker ends the run: the lease ends DONE, then the final event.

type ChangeOf<T extends Change["type"]> = Extract<Change, { type: T }>;

export function decideEnd(
  state: RunState,
  change: ChangeOf<"CompleteRun"> | ChangeOf<"FailRun"> | ChangeOf<"CancelledRun">,
  context: ChangeContext,
): ChangeDecision {
  const consumed = change.type === "CancelledRun" ? [] : consumeReserved(state, context);
  const ended: RunEvent = context.next("LeaseEnded", { reason: "DONE" }, opColumns(context, {}));
  switch (change.type) {
    case "CompleteRun":
      return recorded([
        ...consumed,
        ended,
        context.next("RunCompleted", undefined, opColumns(context, { payload: change.output })),
      ]);
    case "FailRun": {
      const unknown = change.failedSteps.find((key) => state.steps.get(key)?.status !== "failed");
      if (unknown !== undefined) {
        return refuse("INVALID", `step "${unknown}" has not failed`, { field: "failed_steps" });
      }
      const { failure, failedSteps } = change;
      const detail = failedSteps.length === 0 ? { failure } : { failure, failedSteps };
      return recorded([...consumed, ended, context.next("RunFailed", detail, opColumns(context, {}))]);
    }
    case "CancelledRun": {
      if (state.cancel === undefined) return refuse("INVALID_STATE", "no cancel was requested");
      const detail = state.cancel.reason === "" ? {} : { reason: state.cancel.reason };
      return recorded([ended, context.next("RunCancelled", detail, opColumns(context, {}))]);
    }
  }
}

/** Changes that end the lease must be the last of their op. */
export const endingChanges: ReadonlySet<Change["type"]> = new Set([
  "BackOff",
  "SuspendRun",
  "CompleteRun",
  "FailRun",
  "CancelledRun",
]);
