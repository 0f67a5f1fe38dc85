// Events are the truth; runs and deadlines say what the engine has to find fast, written in the same transaction.
//
// - Numbers of type, status and pause_reason are those of the codecs: appended to, never renumbered.
// - payload is TEXT for JSON and BLOB for bytes, as it arrived. detail is JSON. crc covers every other column.
// - events_result makes "once" a constraint of the file: one successful result for each step key
//   (7 StepCompleted, 10 TimerFired, 13 SignalConsumed). With OR, because IN makes a table of the three numbers for
//   every row that is inserted: it was a quarter of what an event cost.
// - Every index of runs is paid for by each run, so there are only those that a start or a grant needs.
//   Statuses: 1 QUEUED, 2 RUNNING, 3 WAITING, 4 PAUSED, 5 to 8 final.
export const init = `
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  commit_no INTEGER NOT NULL,
  newest_at_ms INTEGER NOT NULL,
  events INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0, 0, 0);

CREATE TABLE events (
  run_no INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  type INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  op_id INTEGER NOT NULL,
  step_key TEXT NOT NULL,
  started_at_ms INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  payload ANY,
  encoding TEXT NOT NULL,
  detail TEXT,
  op_digest INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (run_no, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX events_result ON events (run_no, step_key) WHERE type = 7 OR type = 10 OR type = 13;

CREATE TABLE runs (
  run_no INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  run_id TEXT NOT NULL,
  workflow TEXT NOT NULL,
  queue TEXT NOT NULL,
  run_key TEXT NOT NULL,
  status INTEGER NOT NULL,
  pause_reason INTEGER NOT NULL,
  cancel_requested INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  version INTEGER NOT NULL,
  steps_completed INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  worker_id TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  closed_at_ms INTEGER NOT NULL,
  available_at_ms INTEGER NOT NULL,
  timeout_at_ms INTEGER NOT NULL,
  rank INTEGER,
  commit_no INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_id ON runs (namespace, run_id);
CREATE UNIQUE INDEX runs_open_key ON runs (namespace, workflow, run_key) WHERE run_key <> '' AND status < 5;
CREATE INDEX runs_line ON runs (namespace, queue, workflow, rank, run_no) WHERE rank IS NOT NULL;
CREATE INDEX runs_leased ON runs (run_no) WHERE status = 2;
CREATE INDEX runs_changed ON runs (commit_no, run_no);

CREATE TABLE deadlines (
  run_no INTEGER NOT NULL,
  kind TEXT NOT NULL,
  step_key TEXT NOT NULL,
  due_at_ms INTEGER NOT NULL,
  PRIMARY KEY (run_no, kind, step_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX deadlines_due ON deadlines (due_at_ms, run_no, kind, step_key);
`;
