// What a notice does to a run: it settles the wait that it is for, or is remembered for the wait that will come.
import type { Notice } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { CancelledError } from "./errors.ts";
import type { LeaseRun } from "./lease-run.ts";

export function react(run: LeaseRun, what: Notice["what"]): void {
  switch (what.case) {
    case "cancel":
      return run.applyCancel(new CancelledError(run.runId, what.value.reason));
    case "signal":
      return run.waits.signalCame(what.value);
    case "timerFired":
      return timerFired(run, what.value);
    case "retryDue": {
      const known = run.journal.find(what.value);
      if (known?.case === "retrying") known.value.delayMs = 0n;
      return run.waits.retryDue(what.value);
    }
    case "pause":
      return run.giveBack();
    default:
      return; // of a later version
  }
}

function timerFired(run: LeaseRun, stepKey: string): void {
  if (run.waits.timerFired(stepKey)) return;
  const known = run.journal.find(stepKey);
  if (known?.case !== "timer") return;
  const { signalName } = known.value;
  const value = { $typeName: "everstep.v1.JournalTimerFired", signalName } as const;
  run.journal.record(stepKey, { case: "timerFired", value });
}
