import type { Database } from "better-sqlite3";
import { copyLog, createGrowthCheck } from "../../src/store/sqlite/log-copy.ts";
import { walFramesMax } from "../../src/store/sqlite/open.ts";

/** For a connection that is alone with its file: copies the log in this thread whenever it has grown. */
export function createInlineCheckpoints(database: Database): () => void {
  const growthOfLog = createGrowthCheck(database);
  return () => {
    if (growthOfLog() === "little") return;
    const frames = copyLog(database, "PASSIVE");
    if (frames !== undefined && frames.log >= walFramesMax) copyLog(database, "RESTART");
  };
}
