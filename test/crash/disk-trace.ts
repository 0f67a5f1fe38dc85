import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DiskCall } from "../support/disk-faults.ts";

// Reads a trace of disk-faults.c: what a process asked of the database and its log, in order.

const run = promisify(execFile);
/** A process whose disk has failed must have ended by then: what it may still say is worth nothing. */
export const endMsMax = process.env.VITEST === undefined ? 1_000 : 5_000; // beside other tests it is told late

export interface TracedCall {
  /** A write, a truncation, a sync, one of the log by a thread that does not write it, one that lied, or the call that was to fail. */
  readonly call: "w" | "t" | "s" | "r" | "l" | "f";
  /** The database, its log, or another file of SQLite's, such as a rollback journal. */
  readonly file: "d" | "l" | "o";
  /** Of the monotonic clock. */
  readonly atNs: bigint;
  /** Of a write: what was written. */
  readonly bytes: Buffer;
}

const headBytes = 22;

export function readTrace(path: string): TracedCall[] {
  if (!existsSync(path)) return [];
  const bytes = readFileSync(path);
  const calls: TracedCall[] = [];
  for (let at = 0; at + headBytes <= bytes.length; ) {
    const [call, file] = bytes.toString("latin1", at, at + 2);
    const end = at + headBytes + (call === "w" ? bytes.readUInt32LE(at + 18) : 0);
    const atNs = bytes.readBigInt64LE(at + 2);
    calls.push({ call, file, atNs, bytes: bytes.subarray(at + headBytes, end) } as TracedCall);
    at = end;
  }
  return calls;
}

/** The first call that was made to fail. */
export function faultIn(calls: readonly TracedCall[]): TracedCall | undefined {
  return calls.find(({ call }) => call === "f");
}
/** What is wrong when a process ended so long behind the fault. */
export function lateEnd(faultNs: bigint, endedNs: bigint): { ms: number; violations: string[] } {
  const ms = Number((endedNs - faultNs) / 1_000_000n);
  return { ms, violations: ms > endMsMax ? [`the server ended ${ms} ms behind the fault, may be ${endMsMax}`] : [] };
}

/** What was found in writes of the log, each behind the other, that a sync has followed before the first fault. */
export function syncedBeforeFault(calls: readonly TracedCall[], pattern: RegExp): Set<string> {
  const synced = new Set<string>();
  let written: string[] = [];
  for (const { call, file, bytes } of calls) {
    if (call === "f") break;
    if (file !== "l") continue;
    if (call === "w") written.push(...(bytes.toString("latin1").match(pattern) ?? []));
    if (call !== "s") continue;
    for (const text of written) synced.add(text);
    written = [];
  }
  return synced;
}

export interface Honesty {
  readonly acknowledged: number;
  readonly syncs: number;
  /** What was acknowledged without a sync. */
  readonly bare: string[];
}
/** Holds the acknowledgements of a ledger against the syncs of a trace; `until` a fault, of a server that then ended. */
export async function honestyOf(trace: string, ledger: string, until?: { faultNs: bigint; endedNs: bigint }) {
  const script = join(import.meta.dirname, "sync_honesty.py");
  const instants = until === undefined ? [] : [String(until.faultNs), String(until.endedNs)];
  const { stdout } = await run("python3", [script, trace, ledger, ...instants], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as Honesty;
}

/** How many calls of a kind there are, counted as disk-faults.c counts them. */
export function count(calls: readonly TracedCall[], kind: DiskCall): number {
  const letters = kind.endsWith("write") ? "w" : kind === "log-resync" ? "r" : "sr";
  let found = 0;
  for (const { call, file } of calls) {
    if (letters.includes(call) && (!kind.startsWith("database-") || file === "d")) found += 1;
  }
  return found;
}
