import type { Database } from "better-sqlite3";
import { openDatabase } from "./native-module.ts";

/** Frames of the WAL that are not in the file before they are copied: 16 MiB. */
export const checkpointFrames = 4_096;
/**
 * Frames of the WAL before the writer waits for readers to start it afresh: 64 MiB. What is written while they are copied
 * comes on top; when that is as much again, the writer waits for the copy.
 */
export const walFramesMax = 16_384;

/** "relaxed" does not sync each commit: a power cut may lose the last ones. A crash of the process loses nothing. */
export type Durability = "full" | "relaxed";

/** The checkpointer copies the log into the file, and writes nothing of its own. */
export type Role = "writer" | "checkpointer" | "reader";

const pageBytes = 4_096;
const busyTimeoutMs = 1_000;

/**
 * The only way to a connection, because the pragmas must be set on every one: without an explicit synchronous=FULL
 * better-sqlite3 has been measured to acknowledge commits that were not synced.
 */
export function openConnection(path: string, role: Role, durability: Durability = "full"): Database {
  const database = openDatabase(path, { readonly: role === "reader", timeout: busyTimeoutMs });
  try {
    if (role === "writer") database.pragma("journal_mode = WAL");
    database.pragma(`synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);
    database.pragma("foreign_keys = OFF");
    database.pragma(`busy_timeout = ${busyTimeoutMs}`);
    database.pragma("temp_store = MEMORY");
    // The log is copied by hand: SQLite swallows the errors of an automatic one, a failed sync included.
    database.pragma("wal_autocheckpoint = 0");
    database.pragma(`journal_size_limit = ${walFramesMax * pageBytes}`);
    // In KiB. The system caches the file as well: 64 MiB here measured no faster, and was memory that a backlog filled.
    database.pragma(`cache_size = ${role === "writer" ? -8_192 : -4_096}`);
    if (role !== "writer") database.pragma("query_only = ON");
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}
