import { emptyMap } from "../core/sparse-map.ts";
import { finalStatuses } from "../core/state.ts";
import { CorruptRowError, type Store } from "../store/store.ts";
import type { Kernel } from "./kernel.ts";

// One history that cannot be read must not hold up the others. Whoever meets it first, a command, an assignment, a
// notice, a query, is told so; the run is set aside as PAUSED (CORRUPT_HISTORY), known by its row only, and its lease is
// revoked. Events can no longer be added, so no event says it: the row does, and its reason tells verify.

/** The store, with somebody told of every history that cannot be read. */
export function watchForCorruption(store: Store, onCorrupt: (error: CorruptRowError) => void): Store {
  function seen(error: unknown): never {
    if (error instanceof CorruptRowError) onCorrupt(error);
    throw error;
  }
  return {
    ...store,
    readEvents(runNo, options) {
      try {
        return store.readEvents(runNo, options);
      } catch (error) {
        return seen(error);
      }
    },
    findOp(runNo, epoch, opId) {
      try {
        return store.findOp(runNo, epoch, opId);
      } catch (error) {
        return seen(error);
      }
    },
    readHistory: (runNo, options) => store.readHistory(runNo, options).catch(seen),
  };
}

/** A closed run stays as it is: what cannot be read of it is refused with each question. */
export function setAside(kernel: Kernel, error: CorruptRowError): void {
  const { runNo, seq } = error;
  kernel.writer.submit({
    run(transaction) {
      const entry = kernel.runs.get(runNo);
      if (entry === undefined) return;
      const { state } = entry;
      if (finalStatuses.has(state.status) || state.pauseReason === "CORRUPT_HISTORY") return;
      transaction.claimWrite();
      kernel.log.error({ runId: state.runId, seq, err: error }, "a history cannot be read: the run is set aside");
      // Those that the file has must be known before the run loses them.
      kernel.recorder.loadDeadlines(entry);
      const lease = kernel.leases.ofRun(runNo);
      if (lease !== undefined && !lease.ending) kernel.recorder.endLease(transaction, lease, "REVOKED");
      entry.corrupt = true;
      state.status = "PAUSED";
      state.pauseReason = "CORRUPT_HISTORY";
      state.version += 1;
      state.lease = undefined;
      state.cancel = undefined;
      state.timers = emptyMap();
      state.signals = [];
      state.pendingStarts = emptyMap();
      kernel.recorder.recordRow(transaction, entry);
    },
    // Refused by a full disk or a full mailbox: whoever meets it next sets it aside.
    refuse: () => {},
  });
}
