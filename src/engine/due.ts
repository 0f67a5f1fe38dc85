import { decide } from "../core/decide.ts";
import { batchDeadlinesMax } from "../limits.ts";
import { decideContext, type Kernel } from "./kernel.ts";
import { deadlineKey } from "./recorder.ts";
import { readPayload } from "./run-events.ts";
import type { Transaction } from "./transaction.ts";

// Stored instants that have come, decided by the server itself. Taken in portions, so that a storm of timers stands
// in nobody's way: between two portions the commands that came meanwhile have their turn.

export interface Due {
  /** Decides what is due into the open batch. True when more is due. */
  gather(transaction: Transaction): boolean;
  /** Sets the alarm for the next deadline. */
  arm(): void;
}

export function createDue(kernel: Kernel): Due {
  let armedForMs = Number.POSITIVE_INFINITY;
  let disarm: (() => void) | undefined;

  function decideDue(transaction: Transaction): void {
    const row = kernel.deadlines.take();
    if (row === undefined) return;
    const { runNo, kind, stepKey } = row;
    const entry = kernel.runs.get(runNo);
    if (entry === undefined) {
      kernel.log.error({ runNo, kind }, "a deadline without a run");
      transaction.batch.deadlines.push({ op: "delete", runNo, kind, stepKey });
      kernel.deadlines.remove(runNo, kind, stepKey, transaction.commitNo);
      return;
    }
    const { recorder } = kernel;
    const key = deadlineKey(kind, stepKey);
    const dueAtMs = recorder.loadDeadlines(entry).get(key);
    const known = dueAtMs !== undefined;
    if (known && dueAtMs > kernel.time.nowMs()) {
      // The row has no CRC, the history has: what came too early comes again.
      transaction.claimWrite();
      const right = { runNo, kind, stepKey, dueAtMs };
      transaction.batch.deadlines.push({ op: "put", ...right });
      kernel.deadlines.put(right, transaction.commitNo);
      return;
    }
    if (known && kind === "available") recorder.recordRow(transaction, entry);
    else if (known && !entry.corrupt) {
      const decision = decide(
        entry.state,
        { type: "DeadlineDue", kind, stepKey },
        decideContext(kernel, (seq) => readPayload(kernel.store, entry, seq)),
      );
      if (decision.kind === "accepted") recorder.record(transaction, entry, decision.events);
    }
    // The diff of the record has dropped it, unless the run's state never knew it.
    if (!known) recorder.dropDeadline(transaction, entry, kind, stepKey);
  }

  function arm(): void {
    const next = kernel.deadlines.next();
    const dueAtMs = next?.dueAtMs ?? Number.POSITIVE_INFINITY;
    if (dueAtMs === armedForMs) return;
    disarm?.();
    armedForMs = dueAtMs;
    disarm = undefined;
    if (next === undefined) return;
    disarm = kernel.alarms.set(kernel.time.elapsedAtMs(dueAtMs), () => {
      armedForMs = Number.POSITIVE_INFINITY;
      disarm = undefined;
      kernel.writer.nudge();
    });
  }

  return {
    gather(transaction) {
      const nowMs = kernel.time.nowMs();
      for (let taken = 0; taken < batchDeadlinesMax; taken++) {
        const next = kernel.deadlines.next();
        if (next === undefined || next.dueAtMs > nowMs) {
          arm();
          return false;
        }
        decideDue(transaction);
      }
      return true;
    },
    arm,
  };
}
