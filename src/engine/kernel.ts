import type { DecideContext, DecideLimits } from "../core/decision.ts";
import type { Store } from "../store/store.ts";
import type { Alarms } from "./alarms.ts";
import type { Clock } from "./clock.ts";
import type { Deadlines } from "./deadlines.ts";
import type { LeaseLife } from "./lease-life.ts";
import type { Leases } from "./leases.ts";
import type { Lines } from "./lines.ts";
import type { Random } from "./random.ts";
import type { Recorder } from "./recorder.ts";
import type { RunKeys } from "./run-keys.ts";
import type { RunTable } from "./run-table.ts";
import type { ServerTime } from "./server-time.ts";
import type { Takers } from "./takers.ts";
import type { Counters, Log } from "./telemetry.ts";
import type { Watchers } from "./watchers.ts";
import type { Writer } from "./writer.ts";
import { streamSilenceMs } from "../limits.ts";

/** The parts that the engine's files share. Built once in engine.ts; nothing in here decides. */
export interface Kernel {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly time: ServerTime;
  readonly log: Log;
  readonly counters: Counters;
  readonly alarms: Alarms;
  readonly runs: RunTable;
  readonly runKeys: RunKeys;
  readonly lines: Lines;
  readonly deadlines: Deadlines;
  readonly leases: Leases;
  readonly leaseLife: LeaseLife;
  readonly takers: Takers;
  readonly watchers: Watchers;
  readonly writer: Writer;
  readonly recorder: Recorder;
  readonly settings: EngineSettings;
  /** True once the engine drains or stops: whatever waits gives up. */
  draining(): boolean;
  /** The number of the next new run. */
  nextRunNo(): number;
}

export interface EngineSettings {
  readonly leaseTtlMs: number;
  readonly payloadBytesMax: number;
  readonly decide: DecideLimits;
  readonly runCacheMax: number;
  readonly lineWindowMax: number;
  readonly deadlineHorizonMax: number;
}

/** What decide gets to know of the moment. */
export function decideContext(kernel: Kernel, stored: DecideContext["stored"]): DecideContext {
  return { nowMs: kernel.time.nowMs(), random: kernel.random.float, stored, limits: kernel.settings.decide };
}

/** Beat, grace and timeouts all follow from the TTL (design section 7). */
export function sessionIntervals(leaseTtlMs: number) {
  const beatIntervalMs = Math.floor(leaseTtlMs / 3);
  const silenceMs = Math.min(leaseTtlMs, Math.max(Math.floor(leaseTtlMs / 2), streamSilenceMs));
  return {
    beatIntervalMs,
    /** A stream that was silent for so long is asked for a sign, and given up when that does not come. */
    pingAfterMs: Math.max(beatIntervalMs, Math.floor(silenceMs / 2)),
    silenceMs,
    streamCheckMs: Math.floor(silenceMs / 3),
    graceMs: Math.floor(leaseTtlMs / 2),
    watchdogMs: Math.floor((leaseTtlMs * 5) / 6),
    acceptTimeoutMs: Math.min(5_000, Math.floor(leaseTtlMs / 2)),
  };
}
