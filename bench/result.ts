import { readFileSync } from "node:fs";

export interface Parameters {
  readonly inFlight: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** The scenario whose rows `raw` writes. */
  readonly like: string;
  /** The SDK of the worker in `run5`; the language of the raw client in `step`. */
  readonly language: string;
  /** The longest backlog. */
  readonly runsMax: number;
  readonly peer: string;
  /** A server of the seed's JSON API that runs already. */
  readonly seedServer?: string;
}

/** One line of output; the fields that every scenario has. */
export interface Result {
  readonly scenario: string;
  readonly inFlight: number;
  readonly seconds: number;
  /** Durable steps in raw --like core, core and step; grants in acquire; runs in the others. */
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Resident memory of the process that holds the engine. */
  readonly rssMiB: number;
  /** Everstep is always measured with "full"; a peer has its own. */
  readonly durability: string;
  readonly [more: string]: unknown;
}

export interface Latency {
  quantileMs(q: 0.5 | 0.99): number;
}

export interface Measured {
  readonly operations: number;
  readonly elapsedMs: number;
  readonly latency: Latency;
  readonly rssMiB: number;
  /** Processor time of the process that holds the engine; a figure that a loaded machine blurs least. */
  readonly engineCpuMs?: number;
}

export function resultOf(
  scenario: string,
  { inFlight, seconds }: Pick<Parameters, "inFlight" | "seconds">,
  measured: Measured,
  more: Record<string, unknown> = {},
): Result {
  return {
    scenario,
    inFlight,
    seconds,
    opsPerSecond: round((measured.operations * 1_000) / measured.elapsedMs),
    p50Ms: measured.latency.quantileMs(0.5),
    p99Ms: measured.latency.quantileMs(0.99),
    rssMiB: Math.round(measured.rssMiB),
    durability: "full",
    ...(measured.engineCpuMs === undefined || measured.operations === 0
      ? {}
      : { cpuMicrosPerOp: Number(((measured.engineCpuMs * 1_000) / measured.operations).toPrecision(3)) }),
    ...more,
  };
}

function round(rate: number): number {
  return rate >= 100 ? Math.round(rate) : Number(rate.toPrecision(3));
}

export function rssMiB(pid: number | "self" = "self"): number {
  const text = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1];
  return (Number(text) * 4_096) / 1024 / 1024;
}

/** Processor time that a process has used, its threads included. */
export function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticksPerSecond = 100;
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}

/** Bytes that a process has read from files, whether or not the disk was asked. */
export function readMiB(pid: number): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1] ?? 0) / 1024 / 1024;
}

/** Milliseconds of a clock that all processes of the machine share. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
