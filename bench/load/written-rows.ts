import type { Database } from "better-sqlite3";
import { eventTypes } from "../../src/core/event.ts";
import { priorityStepMs } from "../../src/core/rows.ts";
import { eventColumns } from "../../src/store/sqlite/event-codec.ts";
import { openConnection } from "../../src/store/sqlite/open.ts";
import { runColumns, statusCode } from "../../src/store/sqlite/run-codec.ts";
import type { RawBatch } from "./raw-writer.ts";

// The batches that a server wrote, read back from its file: the commit of every run is in its row, and what start and
// acquire write for a run they write in one commit.

/** One run and one event for each start, grouped as they were committed. */
export function startBatches(file: string): RawBatch[] {
  return withFile(file, (database) => grouped(rowsOf(database, eventTypes.RunCreated)));
}

/** First the starts that lie behind the grants, then the grants, grouped as they were committed. */
export function grantBatches(file: string): { before: RawBatch[]; grants: RawBatch[] } {
  return withFile(file, (database) => {
    const grants = rowsOf(database, eventTypes.LeaseGranted);
    const created = rowsOf(database, eventTypes.RunCreated);
    const before = created.map(({ event, run }) => ({ event, run: asQueued(run) }));
    return { before: inChunks(before, 1_000), grants: grouped(grants) };
  });
}

interface Written {
  readonly event: unknown[];
  readonly run: unknown[];
}

function withFile<T>(file: string, read: (database: Database) => T): T {
  const database = openConnection(file, "reader");
  try {
    return read(database);
  } finally {
    database.close();
  }
}

function rowsOf(database: Database, type: number): Written[] {
  const events = database
    .prepare(`SELECT ${eventColumns} FROM events WHERE type = ? ORDER BY run_no`)
    .raw()
    .all(type) as unknown[][];
  const runs = new Map(
    (database.prepare(`SELECT ${runColumns} FROM runs`).raw().all() as unknown[][]).map((row) => [row[0], row]),
  );
  return events.map((event) => ({ event, run: runs.get(event[0]) as unknown[] }));
}

function grouped(written: readonly Written[]): RawBatch[] {
  const byCommit = Map.groupBy(written, ({ run }) => run.at(-1) as number);
  return [...byCommit].sort(([a], [b]) => a - b).map(([, rows]) => batchOf(rows));
}

function inChunks(written: readonly Written[], size: number): RawBatch[] {
  const chunks: RawBatch[] = [];
  for (let from = 0; from < written.length; from += size) chunks.push(batchOf(written.slice(from, from + size)));
  return chunks;
}

function batchOf(rows: readonly Written[]): RawBatch {
  return {
    events: rows.map(({ event }) => event),
    runs: rows.map(({ run }) => run),
    deadlines: [],
    operations: rows.length,
  };
}

/** The row of a run as it was before its grant. */
function asQueued(row: unknown[]): unknown[] {
  const names = runColumns.split(", ");
  const values = Object.fromEntries(names.map((name, index) => [name, row[index]])) as Record<string, number>;
  const before: Record<string, unknown> = {
    ...values,
    status: statusCode("QUEUED"),
    version: 1,
    last_seq: 1,
    epoch: 0,
    worker_id: "",
    started_at_ms: 0,
    updated_at_ms: values.created_at_ms,
    rank: (values.available_at_ms as number) + (values.priority as number) * priorityStepMs,
    commit_no: 1,
  };
  return names.map((name) => before[name]);
}
