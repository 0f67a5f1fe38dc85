import type { Database } from "better-sqlite3";
import { openDatabase } from "../sqlite/native-module.ts";
import {
  inspectTables,
  type SeedEvent,
  type SeedSignal,
  type SeedStep,
  type SeedTable,
  type SeedTimer,
  type SeedWorkflow,
} from "./seed-tables.ts";

// Reads a file of the predecessor, in one snapshot and never writing. Each table is read once, in the order of its
// workflows, side by side: one workflow at a time is in memory, however large the file is.

/** A workflow and all rows that belong to it, each list in the order in which it came about. */
export interface SeedRun {
  readonly workflow: SeedWorkflow;
  readonly events: readonly SeedEvent[];
  readonly steps: readonly SeedStep[];
  readonly signals: readonly SeedSignal[];
  readonly timers: readonly SeedTimer[];
}

export interface SeedFile {
  readonly workflows: number;
  /** What the file has beside what is carried. */
  readonly left: readonly string[];
  /** The oldest first. */
  runs(): Generator<SeedRun>;
  /** True when somebody wrote to the file after it was opened: what came later is not in the snapshot. */
  changed(): boolean;
  close(): void;
}

export function openSeedFile(path: string): SeedFile {
  const database = openDatabase(path, { readonly: true, fileMustExist: true });
  try {
    database.pragma("query_only = ON");
    const version = dataVersion(database);
    database.exec("BEGIN");
    const left = inspectTables(database);
    const workflows = database.prepare("SELECT count(*) FROM workflows").pluck().get() as number;
    return {
      workflows,
      left,
      runs: () => readRuns(database),
      changed() {
        if (database.inTransaction) database.exec("COMMIT");
        return dataVersion(database) !== version;
      },
      close: () => database.close(),
    };
  } catch (error) {
    database.close();
    throw error;
  }
}

function dataVersion(database: Database): number {
  return database.pragma("data_version", { simple: true }) as number;
}

function* readRuns(database: Database): Generator<SeedRun> {
  const events = cursor<SeedEvent>(database, "events", ["sequence_number", orderOf(database, "events", "event_id")]);
  const steps = cursor<SeedStep>(database, "steps", ["step_number"]);
  const signals = cursor<SeedSignal>(database, "signals", ["created_at", orderOf(database, "signals", "signal_id")]);
  const timers = cursor<SeedTimer>(database, "timers", ["wake_at", orderOf(database, "timers", "timer_id")]);
  const workflows = database.prepare<[], SeedWorkflow>("SELECT * FROM workflows ORDER BY created_at, workflow_id");
  try {
    for (const workflow of workflows.iterate()) {
      const id = workflow.workflow_id;
      const rows = {
        events: events.take(id),
        steps: steps.take(id),
        signals: signals.take(id),
        timers: timers.take(id),
      };
      yield { workflow, ...rows };
    }
  } finally {
    // Also when nobody wants the rest: a connection with an open statement cannot be closed.
    for (const { end } of [events, steps, signals, timers]) end();
  }
}

/** Rows of one second are told apart by their row number, where the table has one: ids may be drawn by lot. */
function orderOf(database: Database, table: SeedTable, id: string): string {
  try {
    database.prepare(`SELECT rowid FROM ${table} LIMIT 0`);
    return "rowid";
  } catch {
    return id;
  }
}

interface Cursor<T> {
  /** The rows of one workflow; workflows must be asked for in their order. */
  take(workflowId: string): T[];
  end(): void;
}

function cursor<T extends { readonly workflow_id: string }>(
  database: Database,
  table: SeedTable,
  order: readonly string[],
): Cursor<T> {
  const rows = database
    .prepare<[], T>(
      `SELECT ${table}.* FROM workflows JOIN ${table} USING (workflow_id) ` +
        `ORDER BY workflows.created_at, workflows.workflow_id, ${order.map((column) => `${table}.${column}`).join(", ")}`,
    )
    .iterate();
  let next = rows.next();
  return {
    take(workflowId) {
      const taken: T[] = [];
      while (next.done !== true && next.value.workflow_id === workflowId) {
        taken.push(next.value);
        next = rows.next();
      }
      return taken;
    },
    end: () => void rows.return?.(),
  };
}
