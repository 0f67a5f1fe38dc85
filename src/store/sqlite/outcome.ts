import SqliteDatabase from "better-sqlite3";
import type { CommitOutcome } from "../store.ts";

// What an error says about a commit and about the file.

/** A broken promise of ours that SQLite itself does not know as a constraint. */
export class ConstraintError extends Error {}

/** Errors behind which, once rolled back, the file is what it was: the values of the batch were at fault. */
const refusals = ["SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_RANGE"];

export function outcomeOf(error: unknown): Exclude<CommitOutcome, { kind: "durable" }> {
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown } | undefined)?.code;
  if (error instanceof SqliteDatabase.SqliteError) {
    if (error.code === "SQLITE_FULL") return { kind: "full", message };
    if (refusals.some((refusal) => error.code.startsWith(refusal))) return { kind: "constraint", message };
    return { kind: "fatal", message: `${error.code}: ${message}` };
  }
  if (code === "ENOSPC" || code === "EDQUOT") return { kind: "full", message };
  if (error instanceof ConstraintError || error instanceof TypeError || error instanceof RangeError) {
    return { kind: "constraint", message };
  }
  return { kind: "fatal", message };
}
