import { setTimeout as pause } from "node:timers/promises";
import { backlogFile, timersFile } from "../load/kept-files.ts";
import { measure } from "../load/measure.ts";
import { createRunsClient, startMany } from "../load/runs-client.ts";
import { type BenchServer, startBenchServer } from "../load/server.ts";
import { createStarter } from "../load/starter.ts";
import { createStepWorker } from "../load/step-worker.ts";
import { type Parameters, type Result, resultOf, rssMiB } from "../result.ts";

// What a grant costs with 1,000, 100,000 and 1,000,000 runs queued, and with 1,000,000 waiting for timers. The worker
// ends each run at once and new ones are started, so that the backlog keeps its length; figures are grants with their
// ends and starts. The cost is also given relative to that at 1,000.

export async function backlog(parameters: Parameters): Promise<Result[]> {
  const levels = [
    { queued: 1_000, timers: 0, open: () => startWith(1_000) },
    { queued: 100_000, timers: 0, open: async () => startBenchServer({ from: await backlogFile(100_000) }) },
    { queued: 1_000_000, timers: 0, open: async () => startBenchServer({ from: await backlogFile(1_000_000) }) },
    { queued: 1_000, timers: 1_000_000, open: async () => startWith(1_000, await timersFile()) },
  ];
  const results: Result[] = [];
  // The first pass only warms up this process, so that the order of the levels does not matter.
  const unmeasured = await startWith(1_000);
  await loadBacklog(unmeasured, parameters);
  await unmeasured.stop();
  for (const { queued, timers, open } of levels) {
    if (Math.max(queued, timers) > parameters.runsMax) continue;
    const server = await open();
    await pause(1_000);
    const idleRssMiB = Math.round(rssMiB(server.pid));
    const measured = await loadBacklog(server, parameters);
    await server.stop();
    const first = results[0]?.opsPerSecond;
    results.push(
      resultOf("backlog", parameters, measured, {
        queued,
        timers,
        idleRssMiB,
        costRatio:
          first === undefined ? 1 : Number((first / (measured.operations / (measured.elapsedMs / 1_000))).toFixed(2)),
      }),
    );
  }
  return results;
}

async function startWith(queued: number, from?: string): Promise<BenchServer> {
  const server = await startBenchServer(from === undefined ? {} : { from });
  await startMany(createRunsClient(server.url), queued);
  return server;
}

async function loadBacklog(server: BenchServer, parameters: Parameters) {
  const worker = createStepWorker(server.url, { capacity: parameters.inFlight, stepsPerRun: 0 });
  const starter = createStarter(server.url, { ahead: 0, finished: () => worker.finished });
  const { latency } = worker;
  const measured = await measure(parameters, { count: () => worker.finished, latency, pid: server.pid });
  await starter.stop();
  worker.stop();
  return measured;
}
