import type { RunEvent } from "../../core/event.ts";
import { resultTypes } from "../../core/event.ts";
import { finalStatuses } from "../../core/state.ts";
import type { Batch, CommitOutcome, DeadlineRow, RunFilter, RunRow, Store } from "../store.ts";

// The reference store: plain maps, no cleverness. The suite and the model tests hold the sqlite adapter against it.

export interface MemoryStoreOptions {
  /** Asked before each commit: a test can hold it open, or make it fail (then nothing of it is written). */
  readonly beforeCommit?: (batch: Batch) => Promise<CommitOutcome | undefined>;
}

export function compareDeadlineRows(a: DeadlineRow, b: DeadlineRow): number {
  const byText = (x: string, y: string) => (x < y ? -1 : x > y ? 1 : 0);
  return a.dueAtMs - b.dueAtMs || a.runNo - b.runNo || byText(a.kind, b.kind) || byText(a.stepKey, b.stepKey);
}

export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  const runs = new Map<number, RunRow>();
  const idsToNo = new Map<string, number>();
  const events = new Map<number, RunEvent[]>();
  const deadlines = new Map<string, DeadlineRow>();
  let commitNo = 0;
  let newestAtMs = 0;

  const idKey = (namespace: string, runId: string) => `${namespace}\u0000${runId}`;
  const deadlineKey = (row: { runNo: number; kind: string; stepKey: string }) =>
    `${row.runNo} ${row.kind} ${row.stepKey}`;
  const holdsKey = (row: RunRow) => row.runKey !== "" && !finalStatuses.has(row.status);

  /** What a unique index of the file would refuse. */
  function brokenConstraint(batch: Batch): string | undefined {
    const lengths = new Map<number, number>();
    const results = new Set<string>();
    for (const { runNo, event } of batch.events) {
      const length = lengths.get(runNo) ?? events.get(runNo)?.length ?? 0;
      if (event.seq <= length) return `events: (${runNo}, ${event.seq}) exists`;
      lengths.set(runNo, event.seq);
      if (!resultTypes.has(event.type)) continue;
      const key = `${runNo} ${event.stepKey}`;
      const earlier = events.get(runNo)?.some((e) => e.stepKey === event.stepKey && resultTypes.has(e.type));
      if (results.has(key) || earlier === true) return `events: step ${event.stepKey} of ${runNo} has a result`;
      results.add(key);
    }
    const replaced = new Map(batch.runs.map((row) => [row.runNo, row]));
    for (const row of batch.runs) {
      const holder = idsToNo.get(idKey(row.namespace, row.runId));
      if (holder !== undefined && holder !== row.runNo) return `runs: id ${row.runId} exists`;
      if (!holdsKey(row)) continue;
      for (const other of [...runs.values(), ...batch.runs]) {
        const now = replaced.get(other.runNo) ?? other;
        if (now.runNo === row.runNo || !holdsKey(now)) continue;
        if (now.namespace === row.namespace && now.workflow === row.workflow && now.runKey === row.runKey) {
          return `runs: key ${row.runKey} is held`;
        }
      }
    }
    return undefined;
  }

  function write(batch: Batch): void {
    for (const { runNo, event } of batch.events) {
      const list = events.get(runNo);
      if (list === undefined) events.set(runNo, [event]);
      else list.push(event);
    }
    for (const row of batch.runs) {
      runs.set(row.runNo, { ...row, commitNo: batch.commitNo });
      idsToNo.set(idKey(row.namespace, row.runId), row.runNo);
    }
    for (const change of batch.deadlines) {
      if (change.op === "delete") deadlines.delete(deadlineKey(change));
      else {
        const { runNo, kind, stepKey, dueAtMs } = change;
        deadlines.set(deadlineKey(change), { runNo, kind, stepKey, dueAtMs });
      }
    }
    commitNo = batch.commitNo;
    newestAtMs = Math.max(newestAtMs, batch.newestAtMs);
  }

  function matches(row: RunRow, filter: RunFilter): boolean {
    return (
      row.namespace === filter.namespace &&
      (filter.workflow === "" || row.workflow === filter.workflow) &&
      (filter.queue === "" || row.queue === filter.queue) &&
      (filter.runKey === "" || row.runKey === filter.runKey) &&
      (filter.statuses.length === 0 || filter.statuses.includes(row.status))
    );
  }

  function readEvents(
    runNo: number,
    { afterSeq, limit, bytesMax }: { afterSeq: number; limit: number; bytesMax: number },
  ): RunEvent[] {
    const page: RunEvent[] = [];
    let bytes = 0;
    for (const event of (events.get(runNo) ?? []).slice(afterSeq)) {
      bytes += event.bytes;
      if (page.length >= limit || (page.length > 0 && bytes > bytesMax)) break;
      page.push(event);
    }
    return page;
  }

  return {
    name: "memory",
    async commit(batch) {
      const outcome = await options.beforeCommit?.(batch);
      if (outcome !== undefined && outcome.kind !== "durable") return outcome;
      const message = brokenConstraint(batch);
      if (message !== undefined) return { kind: "constraint", message };
      write(batch);
      return { kind: "durable" };
    },
    async probe() {
      return (
        (await options.beforeCommit?.({ commitNo, newestAtMs, events: [], runs: [], deadlines: [] })) ?? {
          kind: "durable",
        }
      );
    },
    readMeta: () => ({ commitNo, newestAtMs, lastRunNo: Math.max(0, ...[...runs.keys()].slice(-1)) }),
    findRun(namespace, runId) {
      const runNo = idsToNo.get(idKey(namespace, runId));
      return runNo === undefined ? undefined : runs.get(runNo);
    },
    getRun: (runNo) => runs.get(runNo),
    findOpenRunByKey: (namespace, workflow, runKey) =>
      [...runs.values()].find(
        (row) => holdsKey(row) && row.namespace === namespace && row.workflow === workflow && row.runKey === runKey,
      ),
    readEvents,
    findOp: (runNo, epoch, opId) => (events.get(runNo) ?? []).filter((e) => e.epoch === epoch && e.opId === opId),
    scanLine: ({ namespace, queue, workflow, afterRank, afterRunNo, limit }) =>
      [...runs.values()]
        .filter(
          (row) =>
            row.rank !== undefined && row.namespace === namespace && row.queue === queue && row.workflow === workflow,
        )
        .map((row) => ({ runNo: row.runNo, rank: row.rank as number }))
        .filter((row) => row.rank > afterRank || (row.rank === afterRank && row.runNo > afterRunNo))
        .sort((a, b) => a.rank - b.rank || a.runNo - b.runNo)
        .slice(0, limit),
    listLineWorkflows: (namespace, queue) =>
      [
        ...new Set(
          [...runs.values()]
            .filter((row) => row.rank !== undefined && row.namespace === namespace && row.queue === queue)
            .map((row) => row.workflow),
        ),
      ].sort(),
    scanDeadlines: ({ after, limit }) =>
      [...deadlines.values()]
        .filter((row) => after === undefined || compareDeadlineRows(row, after) > 0)
        .sort(compareDeadlineRows)
        .slice(0, limit),
    readDeadlines: (runNo) => [...deadlines.values()].filter((row) => row.runNo === runNo).sort(compareDeadlineRows),
    listLeased: () => [...runs.values()].filter((row) => row.status === "RUNNING"),
    async listRuns(filter, { beforeRunNo, limit }) {
      return [...runs.values()]
        .filter((row) => row.runNo < beforeRunNo && matches(row, filter))
        .sort((a, b) => b.runNo - a.runNo)
        .slice(0, limit);
    },
    async countRuns(filter) {
      const counts = new Map<RunRow["status"], number>();
      for (const row of runs.values())
        if (matches(row, filter)) counts.set(row.status, (counts.get(row.status) ?? 0) + 1);
      return [...counts].map(([status, count]) => ({ status, count }));
    },
    async listChangedRuns(filter, { afterCommitNo, afterRunNo, limit }) {
      return [...runs.values()]
        .filter((row) => matches(row, filter))
        .filter((row) => row.commitNo > afterCommitNo || (row.commitNo === afterCommitNo && row.runNo > afterRunNo))
        .sort((a, b) => a.commitNo - b.commitNo || a.runNo - b.runNo)
        .slice(0, limit);
    },
    async readHistory(runNo, page) {
      return readEvents(runNo, page);
    },
    async stepStats({ namespace, workflow, limit }) {
      const totals = new Map<string, { completed: number; durationMs: number }>();
      for (const row of runs.values()) {
        if (row.namespace !== namespace || (workflow !== "" && row.workflow !== workflow)) continue;
        for (const event of events.get(row.runNo) ?? []) {
          if (event.type !== "StepCompleted") continue;
          const total = totals.get(event.stepKey) ?? { completed: 0, durationMs: 0 };
          total.completed += 1;
          total.durationMs += event.startedAtMs === 0 ? 0 : event.atMs - event.startedAtMs;
          totals.set(event.stepKey, total);
        }
      }
      return [...totals]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .slice(0, limit)
        .map(([stepKey, { completed, durationMs }]) => ({
          stepKey,
          completed,
          averageDurationMs: durationMs / completed,
        }));
    },
    async backup() {
      throw new Error("the memory store has no file to back up");
    },
    fileBytes: () => ({ databaseBytes: 0, walBytes: 0 }),
    async close() {},
  };
}
