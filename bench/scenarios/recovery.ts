import { statSync } from "node:fs";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { Histogram } from "../histogram.ts";
import { recoveryContent, recoveryFile } from "../load/kept-files.ts";
import { countRuns, createRunsClient } from "../load/runs-client.ts";
import { startBenchServer } from "../load/server.ts";
import { type Parameters, readMiB, type Result, resultOf, rssMiB } from "../result.ts";

// A server on a file with a million runs: how long from its start (a new process) until a start is acknowledged, how
// much of the file it had read by then, and how much memory it has.

const starts = 3;

export async function recovery(parameters: Parameters): Promise<Result[]> {
  const from = await recoveryFile();
  const fileMiB = Math.round(statSync(from).size / 1024 / 1024);
  const latency = new Histogram();
  let more: Record<string, unknown> = {};
  let memory = 0;
  let servingMs = 0;
  for (let start = 0; start < starts; start++) {
    let startedAtMs = 0;
    const server = await startBenchServer({ from, onSpawn: () => (startedAtMs = performance.now()) });
    const client = createRunsClient(server.url);
    await client.startRun({ workflow: "after" });
    const ms = performance.now() - startedAtMs;
    servingMs += ms;
    latency.record(ms);
    const readByThenMiB = Math.round(readMiB(server.pid));
    memory = Math.max(memory, rssMiB(server.pid));
    const leased = await countRuns(client, RunStatus.RUNNING);
    more = { fileMiB, readMiB: readByThenMiB, ...recoveryContent, leased };
    await server.stop();
  }
  return [
    resultOf("recovery", parameters, { operations: starts, elapsedMs: servingMs, latency, rssMiB: memory }, more),
  ];
}
