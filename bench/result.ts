import { readFileSync } from "node:fs";
import type { Histogram } from "./histogram.ts";

export interface Parameters {
  readonly inFlight: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** One line of output; the fields that every scenario has. */
export interface Result {
  readonly scenario: string;
  readonly inFlight: number;
  readonly seconds: number;
  /** Durable steps in core and step, runs in run5. */
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Resident memory of the process that holds the engine. */
  readonly rssMiB: number;
  readonly durability: "full";
  readonly [more: string]: unknown;
}

export function resultOf(
  scenario: string,
  { inFlight, seconds }: Parameters,
  measured: { operations: number; elapsedMs: number; latency: Histogram; rssMiB: number },
  more: Record<string, unknown> = {},
): Result {
  return {
    scenario,
    inFlight,
    seconds,
    opsPerSecond: Math.round((measured.operations * 1_000) / measured.elapsedMs),
    p50Ms: measured.latency.quantileMs(0.5),
    p99Ms: measured.latency.quantileMs(0.99),
    rssMiB: Math.round(measured.rssMiB),
    durability: "full",
    ...more,
  };
}

export function rssMiB(pid: number | "self" = "self"): number {
  const text = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1];
  return (Number(text) * 4_096) / 1024 / 1024;
}
