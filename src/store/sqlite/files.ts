import { chmodSync, closeSync, existsSync, fsyncSync, openSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

// POSIX locks belong to a process and a file: closing any descriptor of the file drops all of them. So nothing here
// opens a file that SQLite may have open.

/** One name for one file, so that two names of it meet at the same lock. */
export function realPath(path: string): string {
  const absolute = resolve(path);
  return existsSync(absolute) ? realpathSync(absolute) : join(realpathSync(dirname(absolute)), basename(absolute));
}

/** Creates the file for its owner only, unless it is there. WAL and shared memory take their mode from it. */
export function createPrivateFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  chmodSync(path, 0o600);
  syncDirectory(path);
}

/** SQLite swallows a failed sync of the directory; without one a new file may be gone after a power cut. */
export function syncDirectory(path: string): void {
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
