import { existsSync, renameSync, rmSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { refuseDamagedLog } from "./damaged-log.ts";
import { createPrivateFile, syncDirectory } from "./files.ts";
import { checkVersion } from "./migrate.ts";
import { openConnection } from "./open.ts";

/** Between two steps other work of the thread has its turn, and no read transaction is open. */
const pagesPerStep = 256;
const restartsMax = 3;
const allPages = 0x7fff_ffff;

/**
 * Copies the database of a connection to a new file, which gets its name only when it is whole. What this connection
 * writes meanwhile is copied along. When another one writes, SQLite starts afresh; after some of these the rest goes
 * in one step, which comes to an end whatever is written.
 */
export async function copyDatabase(database: Database, path: string): Promise<void> {
  if (existsSync(path)) throw new Error(`${path} exists: a backup does not overwrite`);
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  createPrivateFile(partial);
  let remaining = Number.POSITIVE_INFINITY;
  let restarts = 0;
  try {
    await database.backup(partial, {
      progress({ remainingPages }) {
        if (remainingPages > remaining) restarts += 1;
        remaining = remainingPages;
        return restarts > restartsMax ? allPages : pagesPerStep;
      },
    });
    renameSync(partial, path);
    syncDirectory(path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/** For a program that is not the server: works beside one, and without. */
export async function backupFile(path: string, target: string): Promise<void> {
  refuseDamagedLog(path);
  const database = openConnection(path, "reader");
  try {
    checkVersion(database);
    await copyDatabase(database, target);
  } finally {
    database.close();
  }
}
