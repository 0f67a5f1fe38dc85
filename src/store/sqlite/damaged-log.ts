import { constants, copyFileSync, existsSync } from "node:fs";
import { findLogDamage } from "./log-scan.ts";

// What to do about a log that SQLite would cut short without a word: say so, and let a person decide.

/** One sentence, or nothing when the log is whole. Works beside a running server too. */
export function logComplaint(path: string): string | undefined {
  // A frame that is just being written looks damaged for a moment.
  if (findLogDamage(`${path}-wal`) === undefined) return undefined;
  const damage = findLogDamage(`${path}-wal`);
  return damage && `the log ${path}-wal is damaged at byte ${damage.at}: ${damage.message}`;
}

/** Throws when the log is damaged. */
export function refuseDamagedLog(path: string): void {
  const complaint = logComplaint(path);
  if (complaint === undefined) return;
  throw new Error(
    `${complaint}. SQLite would keep what stands before it and drop the rest, which was acknowledged ` +
      "(unless the log was written with --durability relaxed and the power failed). Restore a backup, or serve with " +
      "--accept-damaged-log: it copies the files aside, keeps what SQLite recovers and gives the rest up",
  );
}

/** Copies file and log aside when the log is damaged. */
export function putDamagedLogAside(path: string, warn: (message: string) => void = () => {}): void {
  const complaint = logComplaint(path);
  if (complaint === undefined) return;
  let number = 1;
  while (existsSync(`${path}.damaged-${number}`)) number += 1;
  const copy = `${path}.damaged-${number}`;
  for (const suffix of ["", "-wal"]) {
    copyFileSync(path + suffix, copy + suffix, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
  warn(`${complaint}; file and log were copied to ${copy}, what SQLite recovers is kept, the rest is given up`);
}
