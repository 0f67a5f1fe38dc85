import { type RunEvent, resultTypes } from "../../core/event.ts";
import { finalStatuses } from "../../core/state.ts";
import {
  type Batch,
  type CommitOutcome,
  CorruptRowError,
  type DeadlineRow,
  type HistoryPage,
  type RunRow,
  type Store,
  type UngrantedRun,
} from "../store.ts";
import { checkBatch } from "./constraints.ts";
import { createQueries } from "./queries.ts";
import { compareTexts, createSortedList, type SortedList } from "./sorted-list.ts";

// A store without a file: maps and sorted arrays. It says what the SQLite adapter must answer, so it is kept plain.

export interface MemoryStoreOptions {
  /**
   * Lets a test hold a commit, or fail it: an outcome that is not durable means that nothing is written. Asked when the
   * commits before have ended.
   */
  beforeCommit?: (batch: Batch) => Promise<CommitOutcome | undefined>;
}

export interface Tables {
  readonly runs: Map<number, RunRow>;
  /** By namespace and run id. */
  readonly runNos: Map<string, number>;
  /** Open runs by namespace, workflow and run key. */
  readonly openKeys: Map<string, number>;
  /** Events of a run in order of seq. */
  readonly events: Map<number, RunEvent[]>;
  /** Run number and step key of every successful result. */
  readonly results: Set<string>;
}

interface Place {
  readonly rank: number;
  readonly runNo: number;
}

export function keyOf(...parts: (string | number)[]): string {
  return JSON.stringify(parts);
}

export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  const tables: Tables = {
    runs: new Map(),
    runNos: new Map(),
    openKeys: new Map(),
    events: new Map(),
    results: new Set(),
  };
  const lines = new Map<string, { workflow: string; namespace: string; queue: string; places: SortedList<Place> }>();
  const deadlines = createSortedList(compareDeadlines);
  const deadlineByKey = new Map<string, DeadlineRow>();
  let commitNo = 0;
  let newestAtMs = 0;
  let lastRunNo = 0;
  let before: Promise<unknown> = Promise.resolve();

  function write(batch: Batch): CommitOutcome {
    const follows = batch.commitNo === commitNo + 1;
    const message = follows ? checkBatch(tables, batch) : `commit ${batch.commitNo} does not follow ${commitNo}`;
    if (message !== undefined) return { kind: "constraint", message };
    apply(batch);
    return { kind: "durable" };
  }

  function apply(batch: Batch): void {
    for (const { runNo, event } of batch.events) {
      const events = tables.events.get(runNo);
      if (events === undefined) tables.events.set(runNo, [event]);
      else events.push(event);
      if (resultTypes.has(event.type)) tables.results.add(keyOf(runNo, event.stepKey));
    }
    for (const row of batch.runs) removeRun(row.runNo);
    for (const row of batch.runs) insertRun({ ...row, commitNo: batch.commitNo });
    for (const change of batch.deadlines) {
      const key = keyOf(change.runNo, change.kind, change.stepKey);
      const before = deadlineByKey.get(key);
      if (before !== undefined) deadlines.remove(before);
      deadlineByKey.delete(key);
      if (change.op === "delete") continue;
      const { op: _, ...row } = change;
      deadlines.insert(row);
      deadlineByKey.set(key, row);
    }
    ({ commitNo, newestAtMs } = batch);
  }

  function removeRun(runNo: number): void {
    const row = tables.runs.get(runNo);
    if (row === undefined) return;
    tables.runs.delete(runNo);
    if (isOpenWithKey(row)) tables.openKeys.delete(keyOf(row.namespace, row.workflow, row.runKey));
    if (row.rank !== undefined) lineOf(row).places.remove({ rank: row.rank, runNo });
  }

  function insertRun(row: RunRow): void {
    tables.runs.set(row.runNo, row);
    tables.runNos.set(keyOf(row.namespace, row.runId), row.runNo);
    if (isOpenWithKey(row)) tables.openKeys.set(keyOf(row.namespace, row.workflow, row.runKey), row.runNo);
    if (row.rank !== undefined) lineOf(row).places.insert({ rank: row.rank, runNo: row.runNo });
    lastRunNo = Math.max(lastRunNo, row.runNo);
  }

  function lineOf({ namespace, queue, workflow }: { namespace: string; queue: string; workflow: string }) {
    const key = keyOf(namespace, queue, workflow);
    let line = lines.get(key);
    if (line === undefined) {
      line = { namespace, queue, workflow, places: createSortedList(comparePlaces) };
      lines.set(key, line);
    }
    return line;
  }

  function readEvents(runNo: number, page: HistoryPage): RunEvent[] {
    const taken: RunEvent[] = [];
    let bytes = 0;
    for (const event of tables.events.get(runNo) ?? []) {
      if (event.seq <= page.afterSeq) continue;
      bytes += event.bytes;
      if (taken.length >= page.limit || (taken.length > 0 && bytes > page.bytesMax)) return taken;
      taken.push(event);
    }
    const next = page.afterSeq + taken.length + 1;
    if (taken.length < page.limit && next <= page.throughSeq)
      throw new CorruptRowError(runNo, next, "the event is missing");
    return taken;
  }

  function getRun(runNo: number | undefined): RunRow | undefined {
    const row = runNo === undefined ? undefined : tables.runs.get(runNo);
    return row === undefined ? undefined : { ...row };
  }

  return {
    name: "memory",
    commit(batch) {
      const { beforeCommit } = options;
      // No await without the hook: decision reads see the batch as soon as it was given.
      if (beforeCommit === undefined) return Promise.resolve(write(batch));
      const outcome = before.then(() => beforeCommit(batch));
      const written = outcome.then((chosen) =>
        chosen === undefined || chosen.kind === "durable" ? write(batch) : chosen,
      );
      before = written;
      return written;
    },
    async probe() {
      return { kind: "durable" };
    },
    readMeta: () => ({ commitNo, newestAtMs, lastRunNo }),
    findRun: (namespace, runId) => getRun(tables.runNos.get(keyOf(namespace, runId))),
    getRun,
    findOpenRunByKey: (namespace, workflow, runKey) => getRun(tables.openKeys.get(keyOf(namespace, workflow, runKey))),
    readEvents,
    readUngranted(runNos, bytesMax) {
      const found: UngrantedRun[] = [];
      for (const runNo of runNos) {
        const row = tables.runs.get(runNo);
        const [created, later] = tables.events.get(runNo) ?? [];
        if (row?.status !== "QUEUED" || row.lastSeq !== 1 || created === undefined || later !== undefined) continue;
        if (created.bytes > bytesMax) continue;
        found.push({ runNo, namespace: row.namespace, runId: row.runId, rank: row.rank, created });
      }
      return found;
    },
    findOp: (runNo, epoch, opId) =>
      (tables.events.get(runNo) ?? []).filter((event) => event.epoch === epoch && event.opId === opId),
    scanLine({ afterRank, afterRunNo, limit, ...line }) {
      const places = lines.get(keyOf(line.namespace, line.queue, line.workflow))?.places;
      return places?.after({ rank: afterRank, runNo: afterRunNo }, limit).map((place) => ({ ...place })) ?? [];
    },
    listLineWorkflows(namespace, queue) {
      return [...lines.values()]
        .filter((line) => line.namespace === namespace && line.queue === queue && line.places.length > 0)
        .map((line) => line.workflow)
        .sort(compareTexts);
    },
    scanDeadlines: ({ after, limit }) => deadlines.after(after, limit).map((row) => ({ ...row })),
    readDeadlines(runNo) {
      return [...deadlineByKey.values()]
        .filter((row) => row.runNo === runNo)
        .sort((a, b) => compareTexts(a.kind, b.kind) || compareTexts(a.stepKey, b.stepKey))
        .map((row) => ({ ...row }));
    },
    listLeased() {
      return [...tables.runs.values()]
        .filter((row) => row.status === "RUNNING")
        .sort((a, b) => a.runNo - b.runNo)
        .map((row) => ({ ...row }));
    },
    ...createQueries(tables),
    async readHistory(runNo, page) {
      return readEvents(runNo, page);
    },
    async backup() {
      throw new Error("backup of a memory store is not supported: there is no file");
    },
    fileBytes: () => ({ databaseBytes: 0, walBytes: 0 }),
    async close() {},
  };
}

export function isOpenWithKey(row: RunRow): boolean {
  return row.runKey !== "" && !finalStatuses.has(row.status);
}

function comparePlaces(a: Place, b: Place): number {
  return a.rank - b.rank || a.runNo - b.runNo;
}

function compareDeadlines(a: DeadlineRow, b: DeadlineRow): number {
  return (
    a.dueAtMs - b.dueAtMs || a.runNo - b.runNo || compareTexts(a.kind, b.kind) || compareTexts(a.stepKey, b.stepKey)
  );
}
