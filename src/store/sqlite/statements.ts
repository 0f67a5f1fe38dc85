import type { Database } from "better-sqlite3";
import type { RunEvent } from "../../core/event.ts";
import type { DeadlineKind } from "../../core/state.ts";
import {
  CorruptRowError,
  type DeadlineRow,
  type RunRow,
  type Store,
  type UngrantedRun,
  UnreadableFileError,
} from "../store.ts";
import { decodeEvent, eventColumns } from "./event-codec.ts";
import { decodeRun, runColumns, statusCode } from "./run-codec.ts";

// The decision reads, each a statement prepared once. Every statement is a snapshot of its own, so it sees the newest
// commit; none of them is left open, so none keeps the WAL from starting afresh.
//
// Parameters of a statement with ORDER BY or LIMIT stand in an expression (? + 0): a bare one is looked at by SQLite's
// planner, which then prepares the statement anew at each execution. That was 9 of the 12 microseconds of a read.

export type DecisionReads = Pick<
  Store,
  | "readMeta"
  | "findRun"
  | "getRun"
  | "findOpenRunByKey"
  | "readEvents"
  | "readUngranted"
  | "findOp"
  | "scanLine"
  | "listLineWorkflows"
  | "scanDeadlines"
  | "readDeadlines"
  | "listLeased"
>;
type Row = unknown[];

export function prepareDecisionReads(database: Database): DecisionReads {
  const prepare = <P extends unknown[]>(sql: string) => database.prepare<P, Row>(sql).raw();
  const meta = prepare<[]>("SELECT commit_no, newest_at_ms, (SELECT max(run_no) FROM runs) FROM meta");
  // Two searches, so that the row says what it is: SQLite takes from an index what the index has, the id for one.
  const runWhere = (key: string) =>
    `SELECT ${runColumns} FROM runs WHERE run_no = (SELECT run_no FROM runs WHERE ${key})`;
  const runById = prepare<[string, string]>(runWhere("namespace = ? AND run_id = ?"));
  const runByNo = prepare<[number]>(`SELECT ${runColumns} FROM runs WHERE run_no = ?`);
  const openRunByKey = prepare<[string, string, string]>(
    runWhere("namespace = ? AND workflow = ? AND run_key = ? AND run_key <> '' AND status < 5"),
  );
  const op = prepare<[number, number, number]>(
    `SELECT ${eventColumns} FROM events WHERE run_no = ? + 0 AND epoch = ? AND op_id = ? ORDER BY seq`,
  );
  // In two searches, because SQLite does not search by (rank, run_no) as a pair: thousands of runs may share a rank.
  const inLine =
    "SELECT run_no, rank FROM runs INDEXED BY runs_line " +
    "WHERE namespace = $namespace || '' AND queue = $queue || '' AND workflow = $workflow || ''";
  const line = database
    .prepare<[Parameters<Store["scanLine"]>[0]], [number, number]>(
      `SELECT * FROM (${inLine} AND rank = $afterRank + 0 AND run_no > $afterRunNo + 0 ORDER BY run_no LIMIT $limit + 0) UNION ALL ` +
        `SELECT * FROM (${inLine} AND rank > $afterRank + 0 ORDER BY rank, run_no LIMIT $limit + 0) ORDER BY 2, 1 LIMIT $limit + 0`,
    )
    .raw();
  const nextWorkflow = prepare<[string, string, string]>(
    "SELECT workflow FROM runs INDEXED BY runs_line " +
      "WHERE namespace = ? || '' AND queue = ? || '' AND workflow > ? || '' " +
      "AND rank IS NOT NULL ORDER BY workflow LIMIT 1",
  );
  const deadlineColumns = "run_no, kind, step_key, due_at_ms";
  const deadlineOrder = "due_at_ms, run_no, kind, step_key";
  const firstDeadlines = prepare<[number]>(
    `SELECT ${deadlineColumns} FROM deadlines INDEXED BY deadlines_due ORDER BY ${deadlineOrder} LIMIT ? + 0`,
  );
  const laterDeadlines = prepare<[number, number, string, string, number]>(
    `SELECT ${deadlineColumns} FROM deadlines INDEXED BY deadlines_due WHERE (${deadlineOrder}) > (? + 0, ? + 0, ? || '', ? || '') ` +
      `ORDER BY ${deadlineOrder} LIMIT ? + 0`,
  );
  const runDeadlines = prepare<[number]>(
    `SELECT ${deadlineColumns} FROM deadlines WHERE run_no = ? + 0 ORDER BY kind, step_key`,
  );
  const leased = prepare<[]>(`SELECT ${runColumns} FROM runs INDEXED BY runs_leased WHERE status = 2 ORDER BY run_no`);

  return {
    readMeta() {
      const [commitNo, newestAtMs, lastRunNo] = meta.get() as [number, number, number | null];
      return { commitNo, newestAtMs, lastRunNo: lastRunNo ?? 0 };
    },
    findRun(namespace, runId) {
      const row = runOf(runById.get(namespace, runId));
      return found(row, row?.namespace === namespace && row.runId === runId);
    },
    getRun: (runNo) => runOf(runByNo.get(runNo)),
    findOpenRunByKey(namespace, workflow, runKey) {
      const row = runOf(openRunByKey.get(namespace, workflow, runKey));
      return found(row, row?.namespace === namespace && row.workflow === workflow && row.runKey === runKey);
    },
    readEvents: prepareReadEvents(database),
    readUngranted: prepareReadUngranted(database),
    findOp: (runNo, epoch, opId) => op.all(runNo, epoch, opId).map(decodeEvent),
    scanLine: (options) => line.all(options).map(([runNo, rank]) => ({ runNo, rank })),
    listLineWorkflows(namespace, queue) {
      const workflows: string[] = [];
      // From name to name: the length of the lines costs nothing.
      for (
        let row: Row | undefined;
        (row = nextWorkflow.get(namespace, queue, workflows.at(-1) ?? "")) !== undefined;
      ) {
        // Whatever is no text stands behind all texts, and is behind itself when it is asked for as one.
        if (typeof row[0] !== "string") break;
        workflows.push(row[0]);
      }
      return workflows;
    },
    scanDeadlines: ({ after, limit }) =>
      (after === undefined
        ? firstDeadlines.all(limit)
        : laterDeadlines.all(after.dueAtMs, after.runNo, after.kind, after.stepKey, limit)
      ).map(deadlineOf),
    readDeadlines: (runNo) => runDeadlines.all(runNo).map(deadlineOf),
    listLeased: () => leased.all().map(decodeRun),
  };
}

/** Reads row by row, so that a page of large payloads is never in memory beyond its bound. */
export function prepareReadEvents(database: Database): Store["readEvents"] {
  const statement = database
    .prepare<[number, number, number], Row>(
      `SELECT ${eventColumns} FROM events WHERE run_no = ? + 0 AND seq > ? + 0 ORDER BY seq LIMIT ? + 0`,
    )
    .raw();
  return (runNo, { afterSeq, limit, bytesMax, throughSeq }) => {
    const events: RunEvent[] = [];
    let bytes = 0;
    // One row is read in two thirds of the time without an iterator.
    const rows = limit === 1 ? statement.all(runNo, afterSeq, limit) : statement.iterate(runNo, afterSeq, limit);
    for (const row of rows) {
      const event = decodeEvent(row);
      const expected = afterSeq + events.length + 1;
      if (event.seq !== expected) throw new CorruptRowError(runNo, expected, "the event is missing");
      bytes += event.bytes;
      if (events.length > 0 && bytes > bytesMax) return events;
      events.push(event);
    }
    const next = afterSeq + events.length + 1;
    if (events.length < limit && next <= throughSeq) throw new CorruptRowError(runNo, next, "the event is missing");
    return events;
  };
}

/**
 * Many runs at once: the two statements of getRun and readEvents cost 19 to 34 microseconds a run while the log is
 * written, a third of it for the locks of their snapshots; a run of 64 that are read together costs 4 to 7.
 */
function prepareReadUngranted(database: Database): Store["readUngranted"] {
  const eventOf = eventColumns.replaceAll(/\w+/g, "event.$&");
  const statement = database
    .prepare<[string, number], Row>(
      `SELECT ${eventOf}, run.namespace, run.run_id, run.rank ` +
        "FROM json_each(?) AS asked CROSS JOIN runs AS run ON run.run_no = asked.value " +
        "CROSS JOIN events AS event ON event.run_no = asked.value AND event.seq = 1 " +
        `WHERE run.status = ${statusCode("QUEUED")} AND run.last_seq = 1 ` +
        // The history is the truth, the row is not: no CRC covers it.
        "AND NOT EXISTS (SELECT 1 FROM events AS later WHERE later.run_no = asked.value AND later.seq > 1) " +
        "AND coalesce(octet_length(event.payload), 0) + coalesce(octet_length(event.detail), 0) <= ?",
    )
    .raw();
  return (runNos, bytesMax) => {
    const found: UngrantedRun[] = [];
    for (const row of statement.all(JSON.stringify(runNos), bytesMax)) {
      const [namespace, runId, rank] = row.slice(-3) as [string, string, number | null];
      const created = readable(row);
      if (created === undefined) continue;
      found.push({ runNo: row[0] as number, namespace, runId, rank: rank ?? undefined, created });
    }
    return found;
  };
}

function readable(row: Row): RunEvent | undefined {
  try {
    return decodeEvent(row);
  } catch (error) {
    if (error instanceof CorruptRowError) return undefined;
    throw error;
  }
}

/** SQLite believes an index: a bit of it that rots leads to the row of another run. */
function found(row: RunRow | undefined, asked: boolean): RunRow | undefined {
  if (row === undefined || asked) return row;
  throw new UnreadableFileError(`an index of runs leads to run number ${row.runNo}, which is another one`);
}

function runOf(row: Row | undefined): RunRow | undefined {
  return row === undefined ? undefined : decodeRun(row);
}

function deadlineOf(row: Row): DeadlineRow {
  const [runNo, kind, stepKey, dueAtMs] = row as [number, DeadlineKind, string, number];
  // In a damaged index a text may have become bytes.
  return { runNo, kind: String(kind) as DeadlineKind, stepKey: String(stepKey), dueAtMs: Number(dueAtMs) };
}
