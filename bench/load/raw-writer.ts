import { eventTypes } from "../../src/core/event.ts";
import { init } from "../../src/store/sqlite/migrations/0001-init.ts";
import { type BatchMessage, decodeEvents } from "../../src/store/sqlite/batch-codec.ts";
import { crcOf, type EventValues } from "../../src/store/sqlite/event-codec.ts";
import { createEventInserter } from "../../src/store/sqlite/event-inserter.ts";
import { openConnection } from "../../src/store/sqlite/open.ts";
import { runColumnCount, upsertRun } from "../../src/store/sqlite/run-codec.ts";
import { Histogram } from "../histogram.ts";
import { createInlineCheckpoints } from "./inline-checkpoints.ts";

// SQLite alone: rows that are ready before the clock starts, one transaction and one sync for each batch, in this
// thread, which also copies the log when it has grown, as SQLite does by itself. Schema, indexes and pragmas are the
// product's, and so is how far the log grows; nothing else of it runs.

export interface RawBatch {
  /** The columns of each, the CRC last. */
  readonly events: readonly unknown[][];
  readonly runs: readonly unknown[][];
  readonly deadlines: readonly unknown[][];
  /** What the scenario counts in this batch. */
  readonly operations: number;
}

/** The rows of a batch as the store's thread got them. */
export function rowsOf(message: BatchMessage): RawBatch {
  const events: unknown[][] = [];
  let operations = 0;
  decodeEvents(message, (values) => {
    events.push([...values, crcOf(values)]);
    if (values[2] === eventTypes.StepCompleted) operations += 1;
  });
  return {
    events,
    runs: slices(message.runs, runColumnCount),
    deadlines: slices(message.deadlines, 4),
    operations,
  };
}

function slices<T>(values: readonly T[], length: number): T[][] {
  return Array.from({ length: values.length / length }, (_, at) => values.slice(at * length, (at + 1) * length));
}

export function writeRaw(
  path: string,
  batches: readonly RawBatch[],
  /** Batches before this one prepare the file or warm up. */
  countedFrom: number,
): { operations: number; elapsedMs: number; latency: Histogram; batches: number } {
  const database = openConnection(path, "writer");
  database.exec(init);
  const insertEvents = createEventInserter(database);
  const putRun = database.prepare(upsertRun);
  const putDeadline = database.prepare("INSERT OR REPLACE INTO deadlines VALUES (?, ?, ?, ?)");
  const deleteDeadline = database.prepare("DELETE FROM deadlines WHERE run_no = ? AND kind = ? AND step_key = ?");
  const updateMeta = database.prepare("UPDATE meta SET commit_no = ?, newest_at_ms = ?, events = events + ?");
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const copyGrownLog = createInlineCheckpoints(database);
  const latency = new Histogram();
  let operations = 0;
  let elapsedMs = 0;
  for (const [index, batch] of batches.entries()) {
    const startedAtMs = performance.now();
    begin.run();
    insertEvents((add) => {
      for (const row of batch.events) add(row as unknown as EventValues, row[12] as number);
    });
    for (const row of batch.runs) putRun.run(row);
    for (const row of batch.deadlines) {
      if (row[3] === null) deleteDeadline.run(row.slice(0, 3));
      else putDeadline.run(row);
    }
    updateMeta.run(index, 0, batch.events.length);
    commit.run();
    const committedAtMs = performance.now();
    copyGrownLog();
    if (index < countedFrom) continue;
    latency.record(committedAtMs - startedAtMs);
    elapsedMs += performance.now() - startedAtMs;
    operations += batch.operations;
  }
  database.close();
  return { operations, elapsedMs, latency, batches: batches.length - countedFrom };
}
