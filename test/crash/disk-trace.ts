import { existsSync, readFileSync } from "node:fs";
import type { DiskCall } from "../support/disk-faults.ts";

// Reads a trace of disk-faults.c: what a process asked of the database and its log, in order, without the bytes.

export interface TracedCall {
  /** A write, a truncation, a sync, a sync that lied, or the call that was to fail. */
  readonly call: "w" | "t" | "s" | "l" | "f";
  /** The database, its log, or another file of SQLite's, such as a rollback journal. */
  readonly file: "d" | "l" | "o";
}

const headBytes = 22;

export function readTrace(path: string): TracedCall[] {
  if (!existsSync(path)) return [];
  const bytes = readFileSync(path);
  const calls: TracedCall[] = [];
  for (let at = 0; at + headBytes <= bytes.length; ) {
    const [call, file] = bytes.toString("latin1", at, at + 2);
    calls.push({ call, file } as TracedCall);
    at += headBytes + (call === "w" ? bytes.readUInt32LE(at + 18) : 0);
  }
  return calls;
}

/** How many calls of a kind there are, counted as disk-faults.c counts them. */
export function count(calls: readonly TracedCall[], kind: DiskCall): number {
  const letter = kind.endsWith("write") ? "w" : "s";
  let logUnsynced = false;
  let found = 0;
  for (const { call, file } of calls) {
    if (call === letter) {
      if (kind.startsWith("database-")) found += file === "d" ? 1 : 0;
      else if (kind === "log-resync") found += file === "l" && !logUnsynced ? 1 : 0;
      else found += 1;
    }
    if (file === "l" && (call === "w" || call === "s")) logUnsynced = call === "w";
  }
  return found;
}
