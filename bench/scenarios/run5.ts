import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { Histogram } from "../histogram.ts";
import { measure } from "../load/measure.ts";
import { countRuns, createRunsClient, type RunsClient } from "../load/runs-client.ts";
import { startSdkWorker } from "../load/sdk-worker.ts";
import { startBenchServer } from "../load/server.ts";
import { createStarter } from "../load/starter.ts";
import { type Parameters, type Result, resultOf } from "../result.ts";

// Five-step runs by the real SDK worker in its own process. Counted are runs that are COMPLETED in the file.

export async function run5(parameters: Parameters): Promise<Result[]> {
  const { inFlight } = parameters;
  const language = parameters.language === "" ? "typescript" : parameters.language;
  const server = await startBenchServer();
  const worker = startSdkWorker(language, server.url, inFlight);
  const starter = createStarter(server.url, { ahead: inFlight + 512, finished: () => worker.finished });
  const client = createRunsClient(server.url);
  const measured = await measure(parameters, {
    count: () => countRuns(client, RunStatus.COMPLETED),
    latency: new Histogram(),
    pid: server.pid,
  });
  const latency = await newestLatencies(client);
  await starter.stop();
  await worker.stop();
  await server.stop();
  return [resultOf("run5", parameters, { ...measured, latency }, { language })];
}

/** From the first lease to the end, of the newest thousand completed runs. */
async function newestLatencies(client: RunsClient): Promise<Histogram> {
  const histogram = new Histogram();
  const { runs } = await client.listRuns({ filter: { statuses: [RunStatus.COMPLETED] }, pageSize: 1_000 });
  for (const run of runs) histogram.record(Number(run.closedAtMs - run.startedAtMs));
  return histogram;
}
