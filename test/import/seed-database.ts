import SqliteDatabase, { type Database } from "better-sqlite3";

// Builds a file as the predecessor keeps it, with workflows in every status, the same ones each time. The layout is
// inferred from the names of its interface (docs/migrating.md): one table for each noun, one column for each field.
//
//   node test/import/seed-database.ts workflows.db 50000

const schema = `
CREATE TABLE workflows (
  workflow_id TEXT PRIMARY KEY, workflow_type TEXT NOT NULL, status TEXT NOT NULL, current_step INTEGER NOT NULL,
  lease_owner TEXT, lease_expires_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  completed_at INTEGER, version INTEGER NOT NULL
) STRICT;
CREATE TABLE events (
  event_id INTEGER PRIMARY KEY AUTOINCREMENT, workflow_id TEXT NOT NULL REFERENCES workflows, event_type TEXT NOT NULL,
  payload_json TEXT, sequence_number INTEGER NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_workflow ON events (workflow_id, sequence_number);
CREATE TABLE steps (
  workflow_id TEXT NOT NULL REFERENCES workflows, step_number INTEGER NOT NULL, status TEXT NOT NULL, input_json TEXT,
  output_json TEXT, started_at INTEGER, completed_at INTEGER, PRIMARY KEY (workflow_id, step_number)
) STRICT;
CREATE TABLE signals (
  signal_id INTEGER PRIMARY KEY AUTOINCREMENT, workflow_id TEXT NOT NULL REFERENCES workflows, signal_type TEXT NOT NULL,
  payload_json TEXT, consumed INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX signals_workflow ON signals (workflow_id);
CREATE TABLE timers (
  timer_id INTEGER PRIMARY KEY AUTOINCREMENT, workflow_id TEXT NOT NULL REFERENCES workflows, wake_at INTEGER NOT NULL,
  fired INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX timers_workflow ON timers (workflow_id);
`;

export const seedKinds = [
  "fresh",
  "running",
  "backing off",
  "waiting for a signal",
  "completed",
  "failed",
  "queued again",
  "signalled while waiting",
] as const;
export type SeedKind = (typeof seedKinds)[number];

export const firstCreatedAt = 1_700_000_000;

export function seedId(number: number): string {
  const odd = ["order 1/2 %41", "höhe-日本", "🚚 & co?", "x".repeat(5_000)];
  return number < odd.length * 8 && number % 8 === 0 ? `${odd[number / 8]}-${number}` : `order-${number}`;
}

export function kindOf(number: number): SeedKind {
  return seedKinds[number % seedKinds.length] as SeedKind;
}

export function buildSeedDatabase(path: string, count: number): Database {
  const database = new SqliteDatabase(path);
  database.pragma("synchronous = OFF");
  // The row of a workflow is written last, when all is known.
  database.pragma("foreign_keys = OFF");
  database.exec(schema);
  const insert = statements(database);
  database.transaction(() => {
    for (let number = 0; number < count; number++) insertWorkflow(insert, number);
  })();
  return database;
}

function statements(database: Database) {
  return {
    workflow: database.prepare<unknown[]>("INSERT INTO workflows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    event: database.prepare<unknown[]>(
      "INSERT INTO events (workflow_id, event_type, payload_json, sequence_number, created_at) VALUES (?, ?, ?, ?, ?)",
    ),
    step: database.prepare<unknown[]>("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)"),
    signal: database.prepare<unknown[]>(
      "INSERT INTO signals (workflow_id, signal_type, payload_json, consumed, created_at) VALUES (?, ?, ?, ?, ?)",
    ),
    timer: database.prepare<unknown[]>("INSERT INTO timers (workflow_id, wake_at, fired) VALUES (?, ?, ?)"),
  };
}

/** One workflow with the rows that the predecessor would have written until then. */
function insertWorkflow(insert: ReturnType<typeof statements>, number: number): void {
  const id = seedId(number);
  const kind = kindOf(number);
  let at = firstCreatedAt + number;
  const createdAt = at;
  let sequence = 0;
  let version = 1;
  let completed = 0;
  const emit = (type: string, payload: object | null = null): void => {
    if (sequence > 0) at += 1;
    sequence += 1;
    insert.event.run(id, type, payload === null ? null : JSON.stringify(payload), sequence, at);
  };
  const acquire = (): void => {
    version += 1;
    emit("WORKFLOW_STARTED", { worker_id: "worker-1" });
  };
  const step = (step_number: number, status: "RUNNING" | "COMPLETED" | "FAILED"): void => {
    const startedAt = at;
    emit("STEP_STARTED", { step_number });
    if (status === "COMPLETED") {
      version += 1;
      completed += 1;
      emit("STEP_COMPLETED", { step_number });
    } else if (status === "FAILED") emit("STEP_FAILED", { step_number, error: `refused ${number}` });
    const output = status === "COMPLETED" ? `{ "of": ${number}, "step": ${step_number} }` : null;
    const endedAt = status === "RUNNING" ? null : at;
    insert.step.run(id, step_number, status, `{"order":${number}}`, output, startedAt, endedAt);
  };
  const signal = (consumed: boolean): void => {
    emit("SIGNAL_RECEIVED", { signal_type: "approval" });
    insert.signal.run(id, "approval", `{"by":"ada ${number}"}`, consumed ? 1 : 0, at);
  };

  emit("WORKFLOW_CREATED", { workflow_type: "order" });
  let status = "QUEUED";
  if (kind !== "fresh") acquire();
  switch (kind) {
    case "fresh":
      break;
    case "running":
      step(1, "COMPLETED");
      step(2, "RUNNING");
      status = "RUNNING";
      break;
    case "backing off":
      step(1, "COMPLETED");
      step(2, "FAILED");
      insert.timer.run(id, at + 60, 0);
      status = "WAITING";
      break;
    case "waiting for a signal":
      step(1, "COMPLETED");
      status = "WAITING";
      break;
    case "completed":
      signal(true);
      for (const key of [1, 2, 3]) step(key, "COMPLETED");
      emit("WORKFLOW_COMPLETED");
      version += 1;
      status = "COMPLETED";
      break;
    case "failed":
      step(1, "FAILED");
      emit("WORKFLOW_FAILED");
      version += 1;
      status = "FAILED";
      break;
    case "queued again":
      step(-7, "COMPLETED");
      insert.timer.run(id, at, 1);
      emit("TIMER_FIRED");
      acquire();
      step(1, "COMPLETED");
      status = "QUEUED";
      break;
    case "signalled while waiting":
      step(1, "COMPLETED");
      signal(false);
      status = "WAITING";
      break;
  }
  const owner = status === "RUNNING" ? "worker-1" : null;
  const endedAt = status === "COMPLETED" || status === "FAILED" ? at : null;
  const expiresAt = owner === null ? null : at + 30;
  insert.workflow.run(id, "order", status, completed, owner, expiresAt, createdAt, at, endedAt, version);
}

if (import.meta.main) {
  const [path, count] = process.argv.slice(2);
  if (path === undefined) throw new Error("usage: seed-database.ts FILE [COUNT]");
  buildSeedDatabase(path, Number(count ?? 50_000)).close();
}
