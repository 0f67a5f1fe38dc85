import { Histogram } from "../histogram.ts";
import { measure } from "../load/measure.ts";
import { createRunsClient } from "../load/runs-client.ts";
import { type BenchServer, startBenchServer } from "../load/server.ts";
import { type Measured, type Parameters, type Result, resultOf } from "../result.ts";

// Starts by batch: StartRuns over the wire, so many calls at once that `inFlight` runs are on their way.

const runsPerCall = 256;

export async function start(parameters: Parameters): Promise<Result[]> {
  const server = await startBenchServer();
  const measured = await loadStarts(server, parameters);
  await server.stop();
  return [resultOf("start", parameters, measured, { runsPerCall })];
}

export async function loadStarts(server: BenchServer, parameters: Parameters): Promise<Measured> {
  const client = createRunsClient(server.url);
  const latency = new Histogram();
  const runs = Array.from({ length: runsPerCall }, () => ({ workflow: "bench" }));
  let started = 0;
  let stopped = false;
  const lanes = Array.from({ length: Math.max(1, Math.round(parameters.inFlight / runsPerCall)) }, async () => {
    while (!stopped) {
      const sentAtMs = performance.now();
      await client.startRuns({ runs });
      latency.record(performance.now() - sentAtMs);
      started += runsPerCall;
    }
  });
  const measured = await measure(parameters, { count: () => started, latency, pid: server.pid });
  stopped = true;
  await Promise.all(lanes);
  return measured;
}
