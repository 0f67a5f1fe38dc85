import SqliteDatabase, { type Database } from "better-sqlite3";
import { CorruptRowError, type DeadlineRow, type RunRow } from "../store.ts";
import { logComplaint } from "./damaged-log.ts";
import { decodeEvent, eventColumns } from "./event-codec.ts";
import { checkVersion } from "./migrate.ts";
import { newestVersion } from "./migrations/migrations.ts";
import { openConnection } from "./open.ts";
import { decodeRun, runColumns, unknownStatus } from "./run-codec.ts";
import { prepareDecisionReads } from "./statements.ts";
import { createRunCheck } from "./verify-run.ts";

// Proves a file: everything in it follows from its events, and these are what was written. Works beside a running
// server: each run is read in a snapshot of its own.

export interface Problem {
  /** 0 when it is about the file as a whole. */
  runNo: number;
  /** Empty when there is no row that says it. */
  runId: string;
  seq: number;
  message: string;
  /** The server knows: it has set the run aside (CORRUPT_HISTORY). */
  known: boolean;
}

export interface Verified {
  runs: number;
  events: number;
  /** Known ones included. */
  problems: number;
}

const dayMs = 24 * 60 * 60 * 1_000;
const progressEveryRuns = 1_000;

export async function verifyFile(
  path: string,
  options: { onProblem: (problem: Problem) => void; onProgress?: (progress: Verified) => void },
): Promise<Verified> {
  const done: Verified = { runs: 0, events: 0, problems: 0 };
  const report = (problem: Problem): void => {
    done.problems += 1;
    options.onProblem(problem);
  };
  const ofFile = (message: string): void => report({ runNo: 0, runId: "", seq: 0, message, known: false });
  // Before SQLite recovers what stands before the damage.
  const complaint = logComplaint(path);
  if (complaint !== undefined) ofFile(complaint);
  const database = openConnection(path, "reader");
  try {
    const version = checkVersion(database);
    if (version !== newestVersion) {
      throw new Error(
        `${path} has version ${version} of the file format, this program verifies version ${newestVersion}`,
      );
    }
    checkFile(database, ofFile);
    await checkRuns(database, report, ofFile, done, options.onProgress);
  } catch (error) {
    // What SQLite cannot read is a finding; what is no file of ours is not.
    if (!isCorruption(error)) throw error;
    ofFile((error as Error).message);
  } finally {
    database.close();
  }
  return done;
}

function isCorruption(error: unknown): boolean {
  return error instanceof SqliteDatabase.SqliteError && error.code.startsWith("SQLITE_CORRUPT");
}

/** Pages and indexes, and that no event is gone: the end of a history is not always told by a row. */
function checkFile(database: Database, ofFile: (message: string) => void): void {
  const lines = database.prepare<[], [string]>("PRAGMA integrity_check").raw().all();
  for (const [line] of lines) if (line !== "ok") ofFile(`SQLite: ${line}`);
  const meta = database
    .prepare<[], [number, number, number, number, number, number]>(
      "SELECT events, found, commit_no, coalesce((SELECT max(commit_no) FROM runs), 0), newest_at_ms, newest " +
        "FROM meta, (SELECT count(*) AS found, coalesce(max(at_ms), 0) AS newest FROM events)",
    )
    .raw()
    .get();
  if (meta === undefined) return ofFile("the row of the file as a whole is missing");
  const [written, found, commitNo, commitNoOfRuns, newestAtMs, newestOfEvents] = meta;
  if (written !== found) ofFile(`${written} events were written, ${found} are there`);
  if (commitNo < commitNoOfRuns) ofFile(`the last commit is said to be ${commitNo}, a run row is of ${commitNoOfRuns}`);
  if (newestAtMs < newestOfEvents)
    ofFile(`the newest instant is said to be ${newestAtMs}, an event is of ${newestOfEvents}`);
  if (newestAtMs > Math.max(Date.now(), newestOfEvents) + dayMs)
    ofFile(`the newest instant is said to be ${newestAtMs}, which is to come`);
}

async function checkRuns(
  database: Database,
  report: (problem: Problem) => void,
  ofFile: (message: string) => void,
  done: Verified,
  onProgress: ((progress: Verified) => void) | undefined,
): Promise<void> {
  const checkRun = prepareCheckRun(database, report, done);
  // The next number in any table, so that rows without events and events without a row are met alike.
  const tables = ["runs", "events", "deadlines"];
  const next = database
    .prepare<[{ after: number }], [number | null]>(
      `SELECT min(n) FROM (${tables.map((table) => `SELECT min(run_no) AS n FROM ${table} WHERE run_no > $after`).join(" UNION ALL ")})`,
    )
    .raw();
  const inSnapshot = database.transaction(checkRun);
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const runNo = next.get({ after })?.[0] ?? undefined;
    if (runNo === undefined) break;
    // In a damaged index the next number may be an earlier one, or none at all.
    if (!(runNo > after)) return ofFile(`run number ${runNo} follows ${after}: the order of an index is broken`);
    inSnapshot(runNo);
    after = runNo;
    if (done.runs % progressEveryRuns !== 0) continue;
    onProgress?.({ ...done });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function prepareCheckRun(
  database: Database,
  report: (problem: Problem) => void,
  done: Verified,
): (runNo: number) => void {
  const run = database.prepare<[number], unknown[]>(`SELECT ${runColumns} FROM runs WHERE run_no = ?`).raw();
  const events = database
    .prepare<[number], unknown[]>(`SELECT ${eventColumns} FROM events WHERE run_no = ? ORDER BY seq`)
    .raw();
  const { readDeadlines } = prepareDecisionReads(database);

  function checkHistory(row: RunRow, deadlines: readonly DeadlineRow[]): void {
    const { runNo, runId } = row;
    const known = row.pauseReason === "CORRUPT_HISTORY";
    let problems = 0;
    const reportRun = (seq: number, message: string): void => {
      problems += 1;
      report({ runNo, runId, seq, message, known });
    };
    // Of a run set aside only the history is judged: its row says that it was, which no event does.
    const check = createRunCheck(row, known ? () => {} : reportRun);
    for (const values of events.iterate(runNo)) {
      done.events += 1;
      try {
        check.event(decodeEvent(values));
      } catch (error) {
        if (!(error instanceof CorruptRowError)) throw error;
        const message = error.message.slice(error.message.indexOf(": ") + 2);
        check.unreadable(error.seq, message);
        if (known) reportRun(error.seq, message);
      }
    }
    check.end(deadlines);
    if (known && problems === 0) reportRun(row.lastSeq, `the run is ${row.status}, set aside with CORRUPT_HISTORY`);
  }

  return (runNo) => {
    const values = run.get(runNo);
    const deadlines = readDeadlines(runNo);
    if (values === undefined) return checkOrphans(runNo, deadlines);
    done.runs += 1;
    const status = unknownStatus(values);
    if (status !== undefined) {
      const message = `its row has status ${status}`;
      return report({ runNo, runId: String(values[2]), seq: 0, message, known: false });
    }
    checkHistory(decodeRun(values), deadlines);
  };

  function checkOrphans(runNo: number, deadlines: readonly DeadlineRow[]): void {
    let first: number | undefined;
    let count = 0;
    for (const values of events.iterate(runNo)) {
      first ??= values[1] as number;
      count += 1;
    }
    done.events += count;
    const orphan = { runNo, runId: "", known: false };
    if (first !== undefined) report({ ...orphan, seq: first, message: `${count} events of a run that has no row` });
    if (deadlines.length > 0)
      report({ ...orphan, seq: 0, message: `${deadlines.length} deadlines of a run that has no row` });
  }
}
