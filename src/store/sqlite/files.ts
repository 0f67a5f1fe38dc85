import { chmodSync, closeSync, existsSync, fsyncSync, openSync, realpathSync, statSync } from "node:fs";
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

/** Lock and log go by the name: two servers, each by a name of its own, would write over each other. */
export function refuseOtherNames(path: string): void {
  const stat = statSync(path);
  if (!stat.isFile() || stat.nlink === 1) return;
  throw new Error(`${path} has another name (a hard link), by which another server could open it: serve a copy`);
}

/**
 * Says which of the files is gone from its name, or another one, since it was first seen there: what is written to it
 * would be lost with the last descriptor.
 */
export function stillThere(paths: readonly string[]): () => string | undefined {
  const seen = new Map<string, string>();
  return () => {
    for (const path of paths) {
      const stat = statSync(path, { throwIfNoEntry: false });
      const id = stat && `${stat.dev}/${stat.ino}`;
      const before = seen.get(path);
      if (before !== undefined && before !== id) return path;
      if (id !== undefined) seen.set(path, id);
    }
    return undefined;
  };
}
