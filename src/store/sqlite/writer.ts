import { rmSync, writeFileSync } from "node:fs";
import type { Database } from "better-sqlite3";
import type { CommitOutcome } from "../store.ts";
import { type BatchMessage, decodeEvents } from "./batch-codec.ts";
import { crcOf } from "./event-codec.ts";
import { createEventInserter } from "./event-inserter.ts";
import { ConstraintError, outcomeOf } from "./outcome.ts";
import { runColumnCount, upsertRun } from "./run-codec.ts";

// Writes batches: one transaction, one sync. Runs in the writer thread; nothing here knows of threads.

export interface Writer {
  commit(message: BatchMessage): CommitOutcome;
  probe(): CommitOutcome;
}

/** What a probe has to find room for: about what a commit takes. */
const probeBytes = 1024 * 1024;

const behindFailedCopy: CommitOutcome = { kind: "fatal", message: "the log could not be copied into the file" };

/**
 * `copyFailed`: whether a copy of the log by another connection has failed. `goneFile`: which of the files is not where it
 * was any more.
 */
export function createWriter(
  database: Database,
  copyFailed = () => false,
  goneFile: () => string | undefined = () => undefined,
): Writer {
  const insertEvents = createEventInserter(database);
  const putRun = database.prepare<unknown[]>(upsertRun);
  const putDeadline = database.prepare<unknown[]>(
    "INSERT INTO deadlines (run_no, kind, step_key, due_at_ms) VALUES (?, ?, ?, ?) " +
      "ON CONFLICT (run_no, kind, step_key) DO UPDATE SET due_at_ms = excluded.due_at_ms",
  );
  const deleteDeadline = database.prepare<unknown[]>(
    "DELETE FROM deadlines WHERE run_no = ? AND kind = ? AND step_key = ?",
  );
  const updateMeta = database.prepare<unknown[]>(
    "UPDATE meta SET commit_no = ?, newest_at_ms = ?, events = events + ? WHERE id = 1 AND commit_no = ?",
  );
  const touchMeta = database.prepare("UPDATE meta SET commit_no = commit_no WHERE id = 1");
  const begin = database.prepare("BEGIN IMMEDIATE");
  const end = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");

  /** What is in the file is unknown: a commit that was given before that was known must not touch it either. */
  let lost: CommitOutcome | undefined;

  function transact(write: () => void): CommitOutcome {
    if (copyFailed()) lost ??= behindFailedCopy;
    if (lost !== undefined) return lost;
    const outcome = attempt(write);
    if (outcome.kind === "fatal") lost = outcome;
    // Nor is what was written beside the failure acknowledged.
    else if (copyFailed()) lost = behindFailedCopy;
    else {
      const gone = goneFile();
      if (gone !== undefined) lost = { kind: "fatal", message: `${gone} is gone, or another file has its name` };
    }
    return lost ?? outcome;
  }

  function attempt(write: () => void): CommitOutcome {
    try {
      begin.run();
      write();
      end.run();
      return { kind: "durable" };
    } catch (error) {
      const outcome = outcomeOf(error);
      try {
        if (database.inTransaction) rollback.run();
      } catch (rollbackError) {
        return { kind: "fatal", message: `${outcome.message}; then the rollback failed: ${String(rollbackError)}` };
      }
      return outcome;
    }
  }

  function write(message: BatchMessage): void {
    const { commitNo, newestAtMs, eventCount } = message;
    const { changes } = updateMeta.run(commitNo, newestAtMs, eventCount, commitNo - 1);
    if (changes !== 1) throw new ConstraintError(`commit ${commitNo} does not follow the last one`);
    insertEvents((add) => decodeEvents(message, (values) => add(values, crcOf(values))));
    const { runs, deadlines } = message;
    for (let at = 0; at < runs.length; at += runColumnCount) {
      const { changes } = putRun.run(runs.slice(at, at + runColumnCount));
      if (changes !== 1) throw new ConstraintError(`run number ${runs[at]} is another run`);
    }
    for (let at = 0; at < deadlines.length; at += 4) {
      const dueAtMs = deadlines[at + 3];
      if (dueAtMs === null) deleteDeadline.run(deadlines[at], deadlines[at + 1], deadlines[at + 2]);
      else putDeadline.run(deadlines[at], deadlines[at + 1], deadlines[at + 2], dueAtMs);
    }
  }

  return {
    commit: (message) => transact(() => write(message)),
    probe() {
      // A write to the WAL alone may succeed on a full disk, over frames that are there already.
      const path = `${database.name}.probe`;
      try {
        writeFileSync(path, new Uint8Array(probeBytes), { mode: 0o600, flush: true });
      } catch (error) {
        return outcomeOf(error);
      } finally {
        rmSync(path, { force: true });
      }
      return transact(() => touchMeta.run());
    },
  };
}
