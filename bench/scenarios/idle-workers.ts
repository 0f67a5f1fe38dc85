import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Histogram } from "../histogram.ts";
import { createRunsClient } from "../load/runs-client.ts";
import { startBenchServer } from "../load/server.ts";
import { cpuMs, type Parameters, type Result, resultOf, rssMiB } from "../result.ts";

// What connected workers cost that have nothing to do: memory of the server for each, and its processor time. Meanwhile
// single starts show what they cost the others.

const workers = 2_000;
/** More than one beat of each. */
const watchedMs = 22_000;

export async function idleWorkers(parameters: Parameters): Promise<Result[]> {
  const server = await startBenchServer();
  const client = createRunsClient(server.url);
  await client.startRun({ workflow: "first" });
  const before = rssMiB(server.pid);
  const load = fork(join(import.meta.dirname, "../load/idle-workers.ts"), [server.url, String(workers)]);
  await once(load, "message");
  await pause(2_000);
  const cpuBeforeMs = cpuMs(server.pid);
  const startedAtMs = performance.now();
  await pause(watchedMs);
  const cpuPercent = ((cpuMs(server.pid) - cpuBeforeMs) * 100) / (performance.now() - startedAtMs);
  const memory = rssMiB(server.pid);
  const latency = new Histogram();
  const startsFromMs = performance.now();
  for (let start = 0; start < 200; start++) {
    const sentAtMs = performance.now();
    await client.startRun({ workflow: "other" });
    latency.record(performance.now() - sentAtMs);
  }
  const measured = { operations: 200, elapsedMs: performance.now() - startsFromMs, latency, rssMiB: memory };
  load.kill();
  await server.stop();
  return [
    resultOf("idle-workers", { ...parameters, inFlight: 1 }, measured, {
      workers,
      kibPerWorker: Math.round(((memory - before) * 1024) / workers),
      cpuPercentOfACore: Number(cpuPercent.toFixed(1)),
    }),
  ];
}
