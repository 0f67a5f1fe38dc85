import type { Database, Statement } from "better-sqlite3";
import { stepStatsRunsMax } from "../bounds.ts";
import type { RunFilter, RunRow, StepStatsRow, Store } from "../store.ts";
import { decodeRun, runColumns, statusCode, statusOf } from "./run-codec.ts";
import { prepareReadEvents } from "./statements.ts";

// What the reader thread answers. Pages by key, each one statement: its snapshot is closed before the answer goes out.

type Answer<K extends keyof Store> = Store[K] extends (...args: infer A) => Promise<infer R>
  ? (...args: A) => R
  : never;
export type QueryName = "listRuns" | "countRuns" | "listChangedRuns" | "readHistory" | "stepStats";
export type Queries = { [K in QueryName]: Answer<K> };

export function prepareQueries(database: Database): Queries {
  /** By text: a filter has few shapes. */
  const statements = new Map<string, Statement<unknown[], unknown[]>>();

  function all(sql: string, parameters: readonly unknown[]): unknown[][] {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = database.prepare<unknown[], unknown[]>(sql).raw();
      statements.set(sql, statement);
    }
    return statement.all(...parameters);
  }
  function runs(filter: RunFilter, place: string, more: readonly unknown[], order: string): RunRow[] {
    const { where, parameters } = conditionOf(filter);
    const sql = `SELECT ${runColumns} FROM runs WHERE ${place} AND ${where} ORDER BY ${order} LIMIT ?`;
    const [limit, ...from] = more;
    return all(sql, [...from, ...parameters, limit]).map(decodeRun);
  }

  return {
    listRuns: (filter, { beforeRunNo, limit }) => runs(filter, "run_no < ?", [limit, beforeRunNo], "run_no DESC"),
    listChangedRuns: (filter, { afterCommitNo, afterRunNo, limit }) =>
      runs(filter, "(commit_no, run_no) > (?, ?)", [limit, afterCommitNo, afterRunNo], "commit_no, run_no"),
    countRuns(filter) {
      const { where, parameters } = conditionOf(filter);
      const sql = `SELECT status, count(*) FROM runs NOT INDEXED WHERE ${where} GROUP BY status ORDER BY status`;
      return (all(sql, parameters) as [number, number][]).map(([status, count]) => ({
        status: statusOf(status),
        count,
      }));
    },
    readHistory: prepareReadEvents(database),
    stepStats({ namespace, workflow, limit }) {
      const filter: RunFilter = { namespace, workflow, queue: "", statuses: [], runKey: "" };
      const { where, parameters } = conditionOf(filter);
      const sql =
        "SELECT step_key, count(*), " +
        "avg(CASE WHEN events.started_at_ms <> 0 THEN at_ms - events.started_at_ms END) " +
        `FROM (SELECT run_no FROM runs NOT INDEXED WHERE ${where} ORDER BY run_no DESC LIMIT ${stepStatsRunsMax}) ` +
        "CROSS JOIN events USING (run_no) WHERE type = 7 GROUP BY step_key ORDER BY step_key LIMIT ?";
      return (all(sql, [...parameters, limit]) as [string, number, number | null][]).map(
        ([stepKey, completed, average]): StepStatsRow => ({ stepKey, completed, averageDurationMs: average ?? 0 }),
      );
    },
  };
}

/** The unary plus keeps the planner from an index: pages go by run number or by commit. */
function conditionOf(filter: RunFilter): { where: string; parameters: unknown[] } {
  const conditions = ["+namespace = ?"];
  const parameters: unknown[] = [filter.namespace];
  const add = (condition: string, ...values: unknown[]): void => {
    conditions.push(condition);
    parameters.push(...values);
  };
  if (filter.workflow !== "") add("+workflow = ?", filter.workflow);
  if (filter.queue !== "") add("+queue = ?", filter.queue);
  if (filter.runKey !== "") add("+run_key = ?", filter.runKey);
  if (filter.statuses.length > 0) {
    add(`+status IN (${filter.statuses.map(() => "?").join(", ")})`, ...filter.statuses.map(statusCode));
  }
  return { where: conditions.join(" AND "), parameters };
}
