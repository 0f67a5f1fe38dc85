import { finalStatuses } from "../core/state.ts";
import type { Store } from "../store/store.ts";
import type { RunEntry, RunTable } from "./run-table.ts";

// Who holds a run key: at most one open run of (namespace, workflow, key). The file knows the durable holders; what
// was decided since lies over it: new holders here, closed ones in the run table.

export interface RunKeys {
  /** The open run that holds the key, as decided. */
  holder(namespace: string, workflow: string, runKey: string): RunEntry | undefined;
  /** The run holds its key from this batch on. */
  take(entry: RunEntry, commitNo: number): void;
  durable(commitNo: number): void;
  reset(): void;
}

export function createRunKeys(store: Store, runs: RunTable): RunKeys {
  const taken = new Map<string, { entry: RunEntry; commitNo: number }>();
  const keyOf = (namespace: string, workflow: string, runKey: string) => `${namespace}\u0000${workflow}\u0000${runKey}`;
  return {
    holder(namespace, workflow, runKey) {
      const overlaid = taken.get(keyOf(namespace, workflow, runKey));
      if (overlaid !== undefined && !finalStatuses.has(overlaid.entry.state.status)) return overlaid.entry;
      const row = store.findOpenRunByKey(namespace, workflow, runKey);
      const entry = row === undefined ? undefined : runs.get(row.runNo);
      return entry === undefined || finalStatuses.has(entry.state.status) ? undefined : entry;
    },
    take(entry, commitNo) {
      const { namespace, workflow, runKey } = entry.state;
      if (runKey !== "") taken.set(keyOf(namespace, workflow, runKey), { entry, commitNo });
    },
    durable(commitNo) {
      for (const [key, { commitNo: takenBy }] of taken) if (takenBy <= commitNo) taken.delete(key);
    },
    reset: () => taken.clear(),
  };
}
