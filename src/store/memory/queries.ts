import { runStatuses } from "../../core/state.ts";
import { stepStatsRunsMax } from "../bounds.ts";
import type { RunFilter, RunRow, Store } from "../store.ts";
import { compareTexts } from "./sorted-list.ts";
import type { Tables } from "./store.ts";

/** The asynchronous reads, over whole tables. */
export function createQueries(tables: Tables): Pick<Store, "listRuns" | "countRuns" | "listChangedRuns" | "stepStats"> {
  function select(filter: RunFilter): RunRow[] {
    return [...tables.runs.values()].filter(
      (row) =>
        row.namespace === filter.namespace &&
        (filter.workflow === "" || row.workflow === filter.workflow) &&
        (filter.queue === "" || row.queue === filter.queue) &&
        (filter.runKey === "" || row.runKey === filter.runKey) &&
        (filter.statuses.length === 0 || filter.statuses.includes(row.status)),
    );
  }
  function page(rows: RunRow[], limit: number): RunRow[] {
    return rows.slice(0, limit).map((row) => ({ ...row }));
  }
  return {
    async listRuns(filter, { beforeRunNo, limit }) {
      const rows = select(filter).filter((row) => row.runNo < beforeRunNo);
      return page(
        rows.sort((a, b) => b.runNo - a.runNo),
        limit,
      );
    },
    async countRuns(filter) {
      const rows = select(filter);
      return runStatuses
        .map((status) => ({ status, count: rows.filter((row) => row.status === status).length }))
        .filter(({ count }) => count > 0);
    },
    async listChangedRuns(filter, { afterCommitNo, afterRunNo, limit }) {
      const rows = select(filter).filter(
        (row) => row.commitNo > afterCommitNo || (row.commitNo === afterCommitNo && row.runNo > afterRunNo),
      );
      return page(
        rows.sort((a, b) => a.commitNo - b.commitNo || a.runNo - b.runNo),
        limit,
      );
    },
    async stepStats({ namespace, workflow, limit }) {
      const filter: RunFilter = { namespace, workflow, queue: "", statuses: [], runKey: "" };
      const runs = select(filter).sort((a, b) => b.runNo - a.runNo);
      const durations = new Map<string, { completed: number; timed: number; totalMs: number }>();
      for (const { runNo } of runs.slice(0, stepStatsRunsMax)) {
        for (const event of tables.events.get(runNo) ?? []) {
          if (event.type !== "StepCompleted") continue;
          const sum = durations.get(event.stepKey) ?? { completed: 0, timed: 0, totalMs: 0 };
          durations.set(event.stepKey, sum);
          sum.completed += 1;
          if (event.startedAtMs === 0) continue;
          sum.timed += 1;
          sum.totalMs += event.atMs - event.startedAtMs;
        }
      }
      return [...durations]
        .sort(([a], [b]) => compareTexts(a, b))
        .slice(0, limit)
        .map(([stepKey, { completed, timed, totalMs }]) => ({
          stepKey,
          completed,
          averageDurationMs: timed === 0 ? 0 : totalMs / timed,
        }));
    },
  };
}
