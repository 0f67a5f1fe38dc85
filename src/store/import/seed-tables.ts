import type { Database } from "better-sqlite3";

// The tables of the predecessor's file as its interface lets one infer them: one table for each noun, one column for
// each field of its JSON. A column that is not there stops the import before anything is written; a table or column
// that is not known here is named and left behind.

export interface SeedWorkflow {
  readonly workflow_id: string;
  readonly workflow_type: string;
  readonly status: string;
  readonly current_step: number;
  readonly created_at: number;
  readonly updated_at: number;
  readonly completed_at: number | null;
}

export interface SeedEvent {
  readonly workflow_id: string;
  readonly event_type: string;
  readonly payload_json: SeedText;
  readonly created_at: number;
}

export interface SeedStep {
  readonly workflow_id: string;
  readonly step_number: number;
  readonly status: string;
  readonly input_json: SeedText;
  readonly output_json: SeedText;
  readonly started_at: number | null;
  readonly completed_at: number | null;
}

export interface SeedSignal {
  readonly workflow_id: string;
  readonly signal_id: number | string;
  readonly signal_type: string;
  readonly payload_json: SeedText;
  readonly consumed: number;
  readonly created_at: number;
}

export interface SeedTimer {
  readonly workflow_id: string;
  readonly timer_id: number | string;
  readonly wake_at: number;
  readonly fired: number;
}

/** JSON as text; some drivers store it as bytes. */
export type SeedText = string | Uint8Array | null;

export const seedTables = {
  workflows: [
    "workflow_id",
    "workflow_type",
    "status",
    "current_step",
    "lease_owner",
    "lease_expires_at",
    "created_at",
    "updated_at",
    "completed_at",
    "version",
  ],
  events: ["event_id", "workflow_id", "event_type", "payload_json", "sequence_number", "created_at"],
  steps: ["workflow_id", "step_number", "status", "input_json", "output_json", "started_at", "completed_at"],
  signals: ["signal_id", "workflow_id", "signal_type", "payload_json", "consumed", "created_at"],
  timers: ["timer_id", "workflow_id", "wake_at", "fired"],
} as const;
export type SeedTable = keyof typeof seedTables;
export const seedTableNames = Object.keys(seedTables) as SeedTable[];

/** What the file has beside what is carried, in words. Throws when something that is needed is not there. */
export function inspectTables(database: Database): string[] {
  const present = database
    .prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    .pluck()
    .all() as string[];
  const left: string[] = [];
  for (const table of seedTableNames) {
    if (!present.includes(table)) throw new Error(`${database.name} has no table ${table}`);
    const columns = (database.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);
    const known: readonly string[] = seedTables[table];
    const missing = known.find((column) => !columns.includes(column));
    if (missing !== undefined) throw new Error(`${database.name} has no column ${table}.${missing}`);
    for (const column of columns) {
      if (!known.includes(column)) left.push(`column ${table}.${column} is not known here: it is not carried`);
    }
    if (table !== "workflows") left.push(...countOrphans(database, table));
  }
  for (const table of present) {
    if ((seedTableNames as string[]).includes(table)) continue;
    const rows = database
      .prepare(`SELECT count(*) FROM "${table.replaceAll('"', '""')}"`)
      .pluck()
      .get() as number;
    left.push(`table ${table} is not known here: its ${rows} rows are not carried`);
  }
  return left;
}

function countOrphans(database: Database, table: SeedTable): string[] {
  const count = database
    .prepare(`SELECT count(*) FROM ${table} WHERE workflow_id NOT IN (SELECT workflow_id FROM workflows)`)
    .pluck()
    .get() as number;
  return count === 0 ? [] : [`${count} rows of ${table} belong to no workflow: they are not carried`];
}
