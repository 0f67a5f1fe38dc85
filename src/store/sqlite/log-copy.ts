import type { Database } from "better-sqlite3";
import { checkpointFrames, walFramesMax } from "./open.ts";
import { outcomeOf } from "./outcome.ts";

// The log (SQLite's WAL) as the connections see it that write or copy it. Copying it into the file is SQLite's
// checkpoint; `checkpoints.ts` says who does that when.

/** Frames in the log, and how many of them the file has. */
export interface LogFrames {
  readonly log: number;
  readonly copied: number;
}

/** "grown" once in so many new frames; "overgrown" as long as the file lacks more than the whole log may be long. */
export type LogGrowth = "little" | "grown" | "overgrown";

export function createGrowthCheck(database: Database): () => LogGrowth {
  const look = database.prepare<[], { log: number; checkpointed: number }>("PRAGMA wal_checkpoint(NOOP)");
  let toldAt = 0;
  return () => {
    const { log, checkpointed } = look.get() as { log: number; checkpointed: number };
    if (log - checkpointed >= walFramesMax) return "overgrown";
    if (log < toldAt) toldAt = 0; // it was begun afresh
    if (log - Math.max(checkpointed, toldAt) < checkpointFrames) return "little";
    toldAt = log;
    return "grown";
  };
}

/**
 * PASSIVE copies what no reader holds back, beside a connection that writes. RESTART also waits for those who write and
 * read, so that the next commit begins the log afresh. Undefined when nothing can be copied: another connection is doing
 * so, or the disk is full: the frames stay in the log, and the next commit says so. Throws when the file can no longer be
 * trusted.
 */
export function copyLog(database: Database, mode: "PASSIVE" | "RESTART"): LogFrames | undefined {
  try {
    const [frames] = database.pragma(`wal_checkpoint(${mode})`) as [{ log: number; checkpointed: number }];
    return frames.log === -1 ? undefined : { log: frames.log, copied: frames.checkpointed };
  } catch (error) {
    if (outcomeOf(error).kind !== "full") throw error;
    return undefined;
  }
}
