import { statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { Histogram } from "../histogram.ts";
import { countRuns, createRunsClient, startMany } from "../load/runs-client.ts";
import { startSdkWorker } from "../load/sdk-worker.ts";
import { startBenchServer } from "../load/server.ts";
import { type Parameters, type Result, resultOf, rssMiB } from "../result.ts";

// Bytes of the file for a finished five-step run with payloads of 20 characters, after a clean stop.

const runs = 10_000;

export async function fileSize(parameters: Parameters): Promise<Result[]> {
  const server = await startBenchServer();
  const client = createRunsClient(server.url);
  await startMany(client, runs);
  const startedAtMs = performance.now();
  const worker = startSdkWorker("typescript", server.url, parameters.inFlight);
  while ((await countRuns(client, RunStatus.COMPLETED)) < runs) await pause(50);
  const elapsedMs = performance.now() - startedAtMs;
  const memory = rssMiB(server.pid);
  await worker.stop();
  await server.end();
  const bytesPerRun = Math.round(statSync(server.file).size / runs);
  await server.stop();
  const measured = { operations: runs, elapsedMs, latency: new Histogram(), rssMiB: memory };
  return [resultOf("file-size", parameters, measured, { bytesPerRun })];
}
