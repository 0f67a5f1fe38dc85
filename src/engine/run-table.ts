import type { RunEvent } from "../core/event.ts";
import { createState } from "../core/new-state.ts";
import { evolve } from "../core/evolve.ts";
import { emptyMap, type SparseMap } from "../core/sparse-map.ts";
import { finalStatuses, type RunState } from "../core/state.ts";
import { createdBytesMax } from "../limits.ts";
import { CorruptRowError, type RunRow, type Store } from "../store/store.ts";

// Runs in memory, as decided. An entry that an undurable batch touched, or whose run is leased, is pinned: the file
// does not say yet what was decided, so memory must. This is the overlay of run states and of new ids: a point load
// looks here first, and only what nobody has touched is read from the file. Everything else is a cache.

export interface RunEntry {
  readonly state: RunState;
  /** The newest batch that touched it; it may be evicted once that one is durable. */
  commitNo: number;
  /** Decided and not yet durable, in order, payloads included. */
  undurable: RunEvent[];
  /** Its first event, durable, until the first grant: which need not read it from the file. */
  created: RunEvent | undefined;
  /** The batch of each undurable event. */
  undurableCommitNos: number[];
  /** What answers may show: advances only when a batch is durable. */
  durable: DurableView;
  /** True while the run stands in its line (as decided). */
  inLine: boolean;
  /** The rank under which it stands there. */
  rank: number;
  /** Deadlines as decided, by kind and step key; undefined until they are needed. */
  deadlines: SparseMap<string, number> | undefined;
  /** The row has to be written with the open batch. */
  rowDirty: boolean;
  /** The history cannot be read: only the row is known. */
  corrupt: boolean;
}

export interface DurableView {
  lastSeq: number;
  stepsCompleted: number;
  updatedAtMs: number;
}

export interface RunTable {
  /** The run as decided, loaded if need be; undefined when there is none. */
  find(namespace: string, runId: string): RunEntry | undefined;
  get(runNo: number): RunEntry | undefined;
  /** Loads what nobody has had yet of these runs, all by one read; the others stay for `get`. */
  loadUngranted(runNos: readonly number[]): void;
  /** In memory only. */
  peek(runNo: number): RunEntry | undefined;
  add(entry: RunEntry): void;
  /** So many step keys came to a run in memory. */
  grew(steps: number): void;
  /** Drops what may go: unpinned entries above the bounds. Call when a batch is durable that touched so many runs. */
  evict(durableCommitNo: number, touched: number): void;
  clear(): void;
  readonly size: number;
}

export function createEntry(state: RunState): RunEntry {
  return {
    state,
    commitNo: 0,
    undurable: [],
    created: undefined,
    undurableCommitNos: [],
    durable: { lastSeq: state.lastSeq, stepsCompleted: state.stepsCompleted, updatedAtMs: state.updatedAtMs },
    inLine: false,
    rank: 0,
    deadlines: undefined,
    rowDirty: false,
    corrupt: false,
  };
}

/** The first event of a run, if it may stay in memory until the first grant. */
export function keptForGrant(event: RunEvent | undefined): RunEvent | undefined {
  return event !== undefined && event.bytes <= createdBytesMax ? event : undefined;
}

/**
 * To find what can go, all entries are visited, the leased ones too. That is done once for so many touched runs that
 * each of them pays for this many visits; until then the cache passes its bound by at most a quarter of its size.
 */
const visitsPerTouch = 4;

const pageEvents = 2_000;
const pageBytes = 4 * 1024 * 1024;

export function createRunTable(options: {
  store: Store;
  runsMax: number;
  stepsMax: number;
  /** How many runs are leased: all of these are in memory, and stay. */
  leased: () => number;
  /** Told of a history that cannot be read, once for each load. */
  onCorrupt: (error: CorruptRowError) => void;
}): RunTable {
  const { store } = options;
  const byNo = new Map<number, RunEntry>();
  /** By namespace, then by id: an id made of both would be joined and hashed anew for every look. */
  const byId = new Map<string, Map<string, RunEntry>>();
  let cachedSteps = 0;
  let touchedSinceLook = 0;

  function add(entry: RunEntry): void {
    const { runNo, namespace, runId } = entry.state;
    byNo.set(runNo, entry);
    let ids = byId.get(namespace);
    if (ids === undefined) byId.set(namespace, (ids = new Map()));
    ids.set(runId, entry);
  }
  function drop({ state: { runNo, namespace, runId } }: RunEntry): void {
    byNo.delete(runNo);
    const ids = byId.get(namespace);
    ids?.delete(runId);
    if (ids?.size === 0) byId.delete(namespace);
  }
  function touch(entry: RunEntry): RunEntry {
    if (entry.state.lease === undefined && entry.commitNo === 0) {
      byNo.delete(entry.state.runNo);
      byNo.set(entry.state.runNo, entry);
    }
    return entry;
  }
  function loaded(state: RunState, rank: number | undefined, created: RunEvent | undefined): RunEntry {
    const entry = createEntry(state);
    entry.created = keptForGrant(created);
    entry.inLine = rank !== undefined;
    entry.rank = rank ?? 0;
    add(entry);
    return entry;
  }
  function load(row: RunRow): RunEntry {
    const state = createState(row);
    let created: RunEvent | undefined;
    let corruption: CorruptRowError | undefined;
    try {
      for (;;) {
        // One event of two that were asked for is all there is, whatever the row says; a page may have been cut by its bytes.
        const isUngranted = row.status === "QUEUED" && row.lastSeq === 1 && state.lastSeq === 0;
        const events = store.readEvents(row.runNo, {
          afterSeq: state.lastSeq,
          limit: isUngranted ? 2 : pageEvents,
          bytesMax: isUngranted ? Number.MAX_SAFE_INTEGER : pageBytes,
          throughSeq: row.lastSeq,
        });
        for (const event of events) evolve(state, event);
        // A run that nobody has had yet. Most that are loaded are such, out of a long line.
        if (isUngranted && events.length === 1) {
          [created] = events;
          break;
        }
        // Only an empty page is the end: a short one may have been cut by its bytes, and the row may be older than the
        // history.
        if (events.length === 0) break;
      }
      if (row.pauseReason === "CORRUPT_HISTORY") corruption = new CorruptRowError(row.runNo, 0, "set aside before");
    } catch (error) {
      if (!(error instanceof CorruptRowError)) throw error;
      corruption = error;
    }
    const entry = loaded(state, row.rank, created);
    if (corruption !== undefined) {
      fillFromRow(state, row);
      entry.corrupt = true;
      entry.durable = { lastSeq: row.lastSeq, stepsCompleted: row.stepsCompleted, updatedAtMs: row.updatedAtMs };
      if (row.pauseReason !== "CORRUPT_HISTORY" && !finalStatuses.has(row.status)) options.onCorrupt(corruption);
    }
    cachedSteps += state.steps.size;
    return entry;
  }
  return {
    find(namespace, runId) {
      const entry = byId.get(namespace)?.get(runId);
      if (entry !== undefined) return touch(entry);
      const row = store.findRun(namespace, runId);
      return row === undefined ? undefined : load(row);
    },
    get(runNo) {
      const entry = byNo.get(runNo);
      if (entry !== undefined) return touch(entry);
      const row = store.getRun(runNo);
      return row === undefined ? undefined : load(row);
    },
    loadUngranted(runNos) {
      const cold = runNos.filter((runNo) => !byNo.has(runNo));
      if (cold.length < 2) return;
      for (const run of store.readUngranted(cold, createdBytesMax)) {
        const state = createState(run);
        evolve(state, run.created);
        loaded(state, run.rank, run.created);
      }
    },
    peek: (runNo) => byNo.get(runNo),
    add,
    grew(steps) {
      cachedSteps += steps;
    },
    evict(durableCommitNo, touched) {
      touchedSinceLook += touched;
      if (byNo.size - options.leased() <= options.runsMax && cachedSteps <= options.stepsMax) return;
      if (touchedSinceLook * visitsPerTouch < byNo.size) return;
      touchedSinceLook = 0;
      let unpinned = 0;
      let steps = 0;
      let pinnedSteps = 0;
      const candidates: RunEntry[] = [];
      for (const entry of byNo.values()) {
        if (entry.state.lease !== undefined || entry.commitNo > durableCommitNo || entry.state.pendingStarts.size > 0) {
          pinnedSteps += entry.state.steps.size;
          continue;
        }
        unpinned += 1;
        steps += entry.state.steps.size;
        candidates.push(entry);
      }
      for (const entry of candidates) {
        if (unpinned <= options.runsMax && steps <= options.stepsMax) break;
        unpinned -= 1;
        steps -= entry.state.steps.size;
        drop(entry);
      }
      cachedSteps = steps + pinnedSteps;
    },
    clear() {
      byNo.clear();
      byId.clear();
      cachedSteps = 0;
      touchedSinceLook = 0;
    },
    get size() {
      return byNo.size;
    },
  };
}

/** A run whose history cannot be read is known by its row only. */
function fillFromRow(state: RunState, row: RunRow): void {
  state.workflow = row.workflow;
  state.queue = row.queue;
  state.runKey = row.runKey;
  state.priority = row.priority;
  state.status = row.status;
  state.pauseReason = row.pauseReason;
  state.version = row.version;
  state.lastSeq = row.lastSeq;
  state.stepsCompleted = row.stepsCompleted;
  state.epoch = row.epoch;
  state.createdAtMs = row.createdAtMs;
  state.updatedAtMs = row.updatedAtMs;
  state.startedAtMs = row.startedAtMs;
  state.closedAtMs = row.closedAtMs;
  state.timeoutAtMs = row.timeoutAtMs;
  state.lease = undefined;
  state.timers = emptyMap();
  state.signals = [];
  state.cancel = undefined;
}
