import SqliteDatabase from "better-sqlite3";
import { UnreadableFileError } from "../store.ts";

// What SQLite says of a file that it cannot follow or a disk that does not read, in the words of the port.

const codes = ["SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR"];

/** The error as callers of a store may see it. */
export function toldUnreadable(error: unknown): unknown {
  if (!(error instanceof SqliteDatabase.SqliteError)) return error;
  return codes.some((code) => error.code.startsWith(code)) ? new UnreadableFileError(error.message) : error;
}

/** The same reads, with what a damaged file makes of them told as such. */
export function tellUnreadable<T extends object>(reads: T): T {
  const told = Object.entries(reads).map(([name, read]) => [
    name,
    (...args: unknown[]) => {
      try {
        return read(...args);
      } catch (error) {
        throw toldUnreadable(error);
      }
    },
  ]);
  return Object.fromEntries(told) as T;
}
