import { measure } from "../load/measure.ts";
import { createStarter } from "../load/starter.ts";
import { startBenchServer } from "../load/server.ts";
import { startRawClient } from "../load/raw-client.ts";
import { type Parameters, type Result, resultOf } from "../result.ts";

// Durable steps over the stream: the server in a process of its own, the worker is a raw client.

export async function step(parameters: Parameters): Promise<Result[]> {
  const server = await startBenchServer();
  const { client, worker } = startRawClient(server.url, parameters);
  const starter = createStarter(server.url, { ahead: parameters.inFlight + 256, finished: () => worker.finished });
  const { latency } = worker;
  const measured = await measure(parameters, { count: () => worker.steps, latency, pid: server.pid });
  await starter.stop();
  worker.stop();
  await server.stop();
  return [resultOf("step", parameters, measured, { client })];
}
