import SqliteDatabase from "better-sqlite3";
import { createPrivateFile } from "./files.ts";
import { openDatabase } from "./native-module.ts";

export interface FileLock {
  release(): void;
}

/**
 * Keeps a second server from the same file. Node has no flock, but SQLite has locks: an exclusive transaction on a tiny
 * file of its own is released by the system whenever and however the process ends. The lock file stays: to remove it
 * would let two servers lock two files of one name.
 */
export function lockFile(path: string): FileLock {
  const lockPath = `${path}.lock`;
  createPrivateFile(lockPath);
  const database = openDatabase(lockPath, { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (error instanceof SqliteDatabase.SqliteError && error.code.startsWith("SQLITE_BUSY")) {
      throw new Error(`${path} is in use: another server holds ${lockPath}`);
    }
    throw error;
  }
  return {
    release() {
      if (!database.open) return;
      if (database.inTransaction) database.exec("ROLLBACK");
      database.close();
    },
  };
}
