import type { DeadlineKind } from "../core/state.ts";
import type { DeadlineRow, Store } from "../store/store.ts";

// The durable deadlines: timers, retries, timeouts. In memory is a bounded horizon of the next ones, behind it the
// file, over it the overlay of what was decided and is not durable. A row that was processed is deleted by the commit
// that processed it, so a refill always reads from the start.

export interface Deadlines {
  put(row: DeadlineRow, commitNo: number): void;
  remove(runNo: number, kind: DeadlineKind, stepKey: string, commitNo: number): void;
  /** The next one, not removed. */
  next(): DeadlineRow | undefined;
  /** Takes the next one out of the horizon; the file keeps it until its removal is committed. */
  take(): DeadlineRow | undefined;
  durable(commitNo: number): void;
  reset(): void;
}

interface OverlayChange {
  /** undefined: removed. */
  readonly row: DeadlineRow | undefined;
  readonly commitNo: number;
}

function keyOf(runNo: number, kind: DeadlineKind, stepKey: string): string {
  return `${runNo} ${kind} ${stepKey}`;
}

export function compareDeadlines(a: DeadlineRow, b: DeadlineRow): number {
  return (
    a.dueAtMs - b.dueAtMs ||
    a.runNo - b.runNo ||
    (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : a.stepKey < b.stepKey ? -1 : a.stepKey > b.stepKey ? 1 : 0)
  );
}

export function createDeadlines(options: { store: Store; horizonMax: number }): Deadlines {
  const { store, horizonMax } = options;
  /** Latest first, so that the next one is popped from the end. */
  let horizon: DeadlineRow[] = [];
  /** Inserted since, unsorted until needed: most timers are set far ahead and never looked at before a refill. */
  let live = new Map<string, DeadlineRow>();
  let complete = false;
  let loaded = false;
  const overlay = new Map<string, OverlayChange>();
  /** Taken and not yet removed or put again. */
  const taken = new Map<string, DeadlineRow>();

  function refill(): void {
    loaded = true;
    const limit = horizonMax + overlay.size + taken.size;
    const rows = store.scanDeadlines({ after: undefined, limit });
    complete = rows.length < limit;
    const last = rows.at(-1);
    live = new Map();
    for (const row of rows) {
      const key = keyOf(row.runNo, row.kind, row.stepKey);
      if (!overlay.has(key) && taken.get(key)?.dueAtMs !== row.dueAtMs) live.set(key, row);
    }
    for (const [key, change] of overlay) {
      const { row } = change;
      if (row === undefined || taken.get(key)?.dueAtMs === row.dueAtMs) continue;
      if (complete || last === undefined || compareDeadlines(row, last) <= 0) live.set(key, row);
    }
    horizon = [...live.values()].sort((a, b) => compareDeadlines(b, a));
    while (horizon.length > horizonMax) {
      const dropped = horizon.shift() as DeadlineRow;
      live.delete(keyOf(dropped.runNo, dropped.kind, dropped.stepKey));
      complete = false;
    }
  }

  function insert(row: DeadlineRow): void {
    const furthest = horizon[0];
    if (!complete && (furthest === undefined || compareDeadlines(row, furthest) > 0)) return;
    let low = 0;
    let high = horizon.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareDeadlines(horizon[middle] as DeadlineRow, row) > 0) low = middle + 1;
      else high = middle;
    }
    horizon.splice(low, 0, row);
    live.set(keyOf(row.runNo, row.kind, row.stepKey), row);
    if (horizon.length > 2 * horizonMax) {
      for (const dropped of horizon.splice(0, horizon.length - horizonMax)) {
        const key = keyOf(dropped.runNo, dropped.kind, dropped.stepKey);
        if (live.get(key) === dropped) live.delete(key);
      }
      complete = false;
    }
  }

  function next(): DeadlineRow | undefined {
    for (;;) {
      const row = horizon.at(-1);
      if (row === undefined) {
        if (loaded && complete) return undefined;
        refill();
        if (horizon.length === 0 && complete) return undefined;
        if (horizon.length === 0) return undefined;
        continue;
      }
      if (live.get(keyOf(row.runNo, row.kind, row.stepKey)) === row) return row;
      horizon.pop();
    }
  }

  return {
    put(row, commitNo) {
      const key = keyOf(row.runNo, row.kind, row.stepKey);
      overlay.set(key, { row, commitNo });
      taken.delete(key);
      live.delete(key);
      if (loaded) insert(row);
    },
    remove(runNo, kind, stepKey, commitNo) {
      const key = keyOf(runNo, kind, stepKey);
      overlay.set(key, { row: undefined, commitNo });
      taken.delete(key);
      live.delete(key);
    },
    next,
    take() {
      const row = next();
      if (row === undefined) return undefined;
      horizon.pop();
      const key = keyOf(row.runNo, row.kind, row.stepKey);
      live.delete(key);
      taken.set(key, row);
      return row;
    },
    durable(commitNo) {
      for (const [key, change] of overlay) if (change.commitNo <= commitNo) overlay.delete(key);
    },
    reset() {
      overlay.clear();
      taken.clear();
      live = new Map();
      horizon = [];
      complete = false;
      loaded = false;
    },
  };
}
