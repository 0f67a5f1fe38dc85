import type { RunEvent } from "../core/event.ts";
import type { Batch } from "../store/store.ts";

// The durable feed: who waits for a run, or for any run, is woken when something is durable, and reads it from the
// file. Nothing is queued here, so a slow watcher costs nothing but its place in a map. Who is to be woken is asked when
// a commit is durable and not when it was decided: in between somebody may have read the file and begun to wait.

export interface Watchers {
  /** A commit is durable: wakes the watchers of its runs, and of commits if it has changed rows. */
  durable(batch: Batch): void;
  /** Calls back at each durable commit with events of one run; the result ends it. */
  watchRun(runNo: number, wake: (closed: boolean) => void): () => void;
  /** Calls back when a durable commit has changed rows; the result ends it. */
  watchCommits(wake: () => void): () => void;
  /** Wakes everybody, to find out that the engine stops. */
  wakeAll(): void;
  readonly size: number;
}

export function createWatchers(): Watchers {
  const runs = new Map<number, Set<(closed: boolean) => void>>();
  const commits = new Set<() => void>();
  let size = 0;
  return {
    durable(batch) {
      if (runs.size > 0) {
        for (const [runNo, closed] of runsOf(batch)) for (const wake of [...(runs.get(runNo) ?? [])]) wake(closed);
      }
      if (batch.runs.length > 0) for (const wake of [...commits]) wake();
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
    wakeAll() {
      for (const set of [...runs.values()]) for (const wake of [...set]) wake(false);
      for (const wake of [...commits]) wake();
    },
    get size() {
      return size;
    },
  };
}

const closing: ReadonlySet<RunEvent["type"]> = new Set(["RunCompleted", "RunFailed", "RunCancelled", "RunTerminated"]);

/** The runs of a commit, and whether it closes them. */
function runsOf(batch: Batch): Map<number, boolean> {
  const found = new Map<number, boolean>();
  for (const { runNo, event } of batch.events) found.set(runNo, found.get(runNo) === true || closing.has(event.type));
  return found;
}
