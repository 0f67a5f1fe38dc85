import type { RunEvent } from "../core/event.ts";
import { finalStatuses } from "../core/state.ts";
import type { RunEntry } from "./run-table.ts";
import type { Transaction } from "./writer.ts";

// The durable feed: who waits for a run, or for any run, is woken when something is durable, and reads it from the
// file. Nothing is queued here, so a slow watcher costs nothing but its place in a map.

export interface Watchers {
  /** Events were decided: wakes the watchers of the run once they are durable. */
  decided(transaction: Transaction, entry: RunEntry, events: readonly RunEvent[]): void;
  /** Calls back at each durable change of one run; the result ends it. */
  watchRun(runNo: number, wake: (closed: boolean) => void): () => void;
  /** Calls back when a durable commit has changed rows; the result ends it. */
  watchCommits(wake: () => void): () => void;
  committed(): void;
  /** Wakes everybody, to find out that the engine stops. */
  wakeAll(): void;
  readonly size: number;
}

export function createWatchers(): Watchers {
  const runs = new Map<number, Set<(closed: boolean) => void>>();
  const commits = new Set<() => void>();
  let size = 0;
  return {
    decided(transaction, entry, _events) {
      if (!runs.has(entry.state.runNo)) return;
      const { runNo, status } = entry.state;
      const closed = finalStatuses.has(status);
      transaction.after(() => {
        for (const wake of [...(runs.get(runNo) ?? [])]) wake(closed);
      });
    },
    watchRun(runNo, wake) {
      let set = runs.get(runNo);
      if (set === undefined) {
        set = new Set();
        runs.set(runNo, set);
      }
      set.add(wake);
      size += 1;
      return () => {
        if (!set.delete(wake)) return;
        size -= 1;
        if (set.size === 0 && runs.get(runNo) === set) runs.delete(runNo);
      };
    },
    watchCommits(wake) {
      commits.add(wake);
      size += 1;
      return () => {
        if (commits.delete(wake)) size -= 1;
      };
    },
    committed() {
      for (const wake of commits) wake();
    },
    wakeAll() {
      for (const set of [...runs.values()]) for (const wake of [...set]) wake(false);
      for (const wake of [...commits]) wake();
    },
    get size() {
      return size;
    },
  };
}
