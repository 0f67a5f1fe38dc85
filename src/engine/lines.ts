import type { Store } from "../store/store.ts";

// A line is one workflow's runs in one queue that are available now, in order of rank. In memory is a bounded window
// of its head; behind it the file. Between decision and durability the file is wrong about what entered and what left,
// so a refill lays these changes (the overlay) over what it reads.

export interface LineKey {
  readonly namespace: string;
  readonly queue: string;
  readonly workflow: string;
}

export interface LineHead {
  readonly rank: number;
  readonly runNo: number;
}

export interface Line extends LineKey {
  /** In order of (rank, runNo). */
  heads: LineHead[];
  /** True when the window holds the whole line. */
  complete: boolean;
  /** Up to here its runs were loaded together: one that is not in memory was left out then, or had to leave since. */
  loadedThrough: LineHead | undefined;
}

export interface Lines {
  /** The line, loaded. */
  open(key: LineKey): Line;
  peek(key: LineKey): Line | undefined;
  /** The next run of the line, refilled from the file if need be. */
  head(line: Line): LineHead | undefined;
  enter(key: LineKey, runNo: number, rank: number, commitNo: number): void;
  leave(key: LineKey, runNo: number, rank: number, commitNo: number): void;
  /** What this commit decided is in the file now. */
  durable(commitNo: number): void;
  /** Forget windows and overlay: the file is right again. */
  reset(): void;
  /** Nobody subscribes to it any more: drop its window. */
  forget(line: Line): void;
  /** Called when a run enters a line, also one that is not in memory. */
  onEnter: (key: LineKey, line: Line | undefined) => void;
  /** Workflows that have something in the overlay of a queue. */
  overlayWorkflows(namespace: string, queue: string): string[];
}

interface OverlayChange {
  /** undefined: it left. */
  readonly rank: number | undefined;
  readonly commitNo: number;
}

export function lineId(key: LineKey): string {
  return `${key.namespace}\u0000${key.queue}\u0000${key.workflow}`;
}

export function createLines(options: { store: Store; windowMax: number }): Lines {
  const { store, windowMax } = options;
  const lines = new Map<string, Line>();
  const overlay = new Map<string, { key: LineKey; changes: Map<number, OverlayChange> }>();

  function refill(line: Line): void {
    const changes = overlay.get(lineId(line))?.changes;
    const limit = windowMax + (changes?.size ?? 0);
    const rows = store.scanLine({
      namespace: line.namespace,
      queue: line.queue,
      workflow: line.workflow,
      afterRank: Number.NEGATIVE_INFINITY,
      afterRunNo: 0,
      limit,
    });
    let complete = rows.length < limit;
    const last = rows.at(-1);
    let heads: LineHead[] = rows;
    if (changes !== undefined && changes.size > 0) {
      heads = rows.filter((row) => !changes.has(row.runNo));
      for (const [runNo, change] of changes) {
        if (change.rank === undefined) continue;
        const added = { runNo, rank: change.rank };
        if (complete || last === undefined || compareHeads(added, last) <= 0) heads.push(added);
      }
      heads.sort(compareHeads);
    }
    if (heads.length > windowMax) {
      heads.length = windowMax;
      complete = false;
    }
    line.heads = heads;
    line.complete = complete;
  }

  function note(key: LineKey, runNo: number, change: OverlayChange): void {
    const id = lineId(key);
    let line = overlay.get(id);
    if (line === undefined) {
      line = { key, changes: new Map() };
      overlay.set(id, line);
    }
    line.changes.set(runNo, change);
  }

  const self: Lines = {
    onEnter: () => {},
    open(key) {
      const id = lineId(key);
      let line = lines.get(id);
      if (line === undefined) {
        const { namespace, queue, workflow } = key;
        line = { namespace, queue, workflow, heads: [], complete: false, loadedThrough: undefined };
        lines.set(id, line);
        refill(line);
      }
      return line;
    },
    peek: (key) => lines.get(lineId(key)),
    head(line) {
      if (line.heads.length === 0 && !line.complete) refill(line);
      return line.heads[0];
    },
    enter(key, runNo, rank, commitNo) {
      note(key, runNo, { rank, commitNo });
      const line = lines.get(lineId(key));
      if (line !== undefined) {
        const { loadedThrough } = line;
        // A crowd of urgent runs may come, more than memory has room for: they are loaded together as well.
        if (loadedThrough !== undefined && rank <= loadedThrough.rank) line.loadedThrough = undefined;
        insert(line, { runNo, rank }, windowMax);
      }
      self.onEnter(key, line);
    },
    leave(key, runNo, rank, commitNo) {
      note(key, runNo, { rank: undefined, commitNo });
      const line = lines.get(lineId(key));
      if (line !== undefined) remove(line, { runNo, rank });
    },
    durable(commitNo) {
      for (const [id, line] of overlay) {
        for (const [runNo, change] of line.changes) if (change.commitNo <= commitNo) line.changes.delete(runNo);
        if (line.changes.size === 0) overlay.delete(id);
      }
    },
    reset() {
      overlay.clear();
      for (const line of lines.values()) {
        line.loadedThrough = undefined;
        refill(line);
      }
    },
    forget(line) {
      lines.delete(lineId(line));
    },
    overlayWorkflows(namespace, queue) {
      const found: string[] = [];
      for (const { key } of overlay.values()) {
        if (key.namespace === namespace && key.queue === queue) found.push(key.workflow);
      }
      return found;
    },
  };
  return self;
}

/** Below 0 when a is the sooner one. */
export function compareHeads(a: LineHead, b: LineHead): number {
  return a.rank - b.rank || a.runNo - b.runNo;
}

/** First index whose head is not before the given one. */
function indexOf(heads: readonly LineHead[], head: LineHead): number {
  let low = 0;
  let high = heads.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareHeads(heads[middle] as LineHead, head) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insert(line: Line, head: LineHead, windowMax: number): void {
  const { heads } = line;
  const last = heads.at(-1);
  if (!line.complete && (last === undefined || compareHeads(head, last) > 0)) return;
  const index = indexOf(heads, head);
  if (heads[index]?.runNo === head.runNo && heads[index]?.rank === head.rank) return;
  heads.splice(index, 0, head);
  if (heads.length > windowMax) {
    heads.pop();
    line.complete = false;
  }
}

function remove(line: Line, head: LineHead): void {
  const index = indexOf(line.heads, head);
  if (line.heads[index]?.runNo === head.runNo) line.heads.splice(index, 1);
}
