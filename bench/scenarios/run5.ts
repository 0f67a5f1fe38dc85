import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { Histogram } from "../histogram.ts";
import { startBenchServer } from "../load/server.ts";
import { createStarter } from "../load/starter.ts";
import { type Parameters, type Result, resultOf, rssMiB } from "../result.ts";

// Five-step runs by the real SDK worker in its own process. Counted are runs that are COMPLETED in the file.

export async function run5(parameters: Parameters): Promise<Result> {
  const { server, stop } = await startBenchServer();
  const worker = fork(join(import.meta.dirname, "../load/run5-worker.ts"), [server.url, String(parameters.inFlight)]);
  let finished = 0;
  worker.on("message", (count) => {
    finished = count as number;
  });
  const starter = createStarter(server.url, { ahead: parameters.inFlight + 512, finished: () => finished });
  const client = createClient(RunService, createGrpcTransport({ baseUrl: server.url }));
  const completed = async () => {
    const { counts } = await client.countRuns({ filter: { statuses: [RunStatus.COMPLETED] } });
    return Number(counts[0]?.count ?? 0n);
  };
  await pause(parameters.warmUpSeconds * 1_000);
  const before = await completed();
  const startedAtMs = performance.now();
  await pause(parameters.seconds * 1_000);
  const operations = (await completed()) - before;
  const elapsedMs = performance.now() - startedAtMs;
  const measured = {
    operations,
    elapsedMs,
    latency: await latencies(client),
    rssMiB: rssMiB(server.child.pid as number),
  };
  await starter.stop();
  worker.kill("SIGTERM");
  await once(worker, "exit");
  await stop();
  return resultOf("run5", parameters, measured);
}

/** From the first lease to the end, of the newest thousand completed runs. */
async function latencies(client: ReturnType<typeof createClient<typeof RunService>>): Promise<Histogram> {
  const histogram = new Histogram();
  const { runs } = await client.listRuns({ filter: { statuses: [RunStatus.COMPLETED] }, pageSize: 1_000 });
  for (const run of runs) histogram.record(Number(run.closedAtMs - run.startedAtMs));
  return histogram;
}
