import { setTimeout as pause } from "node:timers/promises";
import { cpuMs, type Latency, type Measured, type Parameters, rssMiB } from "../result.ts";

/** Warms up, then counts for the asked time. */
export async function measure(
  parameters: Parameters,
  options: { count: () => number | Promise<number>; latency: Latency & { reset(): void }; pid: number | "self" },
): Promise<Measured> {
  await pause(parameters.warmUpSeconds * 1_000);
  options.latency.reset();
  const pid = options.pid === "self" ? process.pid : options.pid;
  const before = await options.count();
  const cpuBeforeMs = cpuMs(pid);
  const startedAtMs = performance.now();
  await pause(parameters.seconds * 1_000);
  const operations = (await options.count()) - before;
  const elapsedMs = performance.now() - startedAtMs;
  const engineCpuMs = cpuMs(pid) - cpuBeforeMs;
  return { operations, elapsedMs, latency: options.latency, rssMiB: rssMiB(options.pid), engineCpuMs };
}
