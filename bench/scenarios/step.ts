import { setTimeout as pause } from "node:timers/promises";
import { createStarter } from "../load/starter.ts";
import { startBenchServer } from "../load/server.ts";
import { createStepWorker } from "../load/step-worker.ts";
import { type Parameters, type Result, resultOf, rssMiB } from "../result.ts";

// Durable steps over the stream: the server in a process of its own, this process is the worker.

export async function step(parameters: Parameters): Promise<Result> {
  const { server, stop } = await startBenchServer();
  const worker = createStepWorker(server.url, { capacity: parameters.inFlight, stepsPerRun: 20 });
  worker.failed.catch((error) => {
    console.error(error);
    process.exit(1);
  });
  const starter = createStarter(server.url, { ahead: parameters.inFlight + 256, finished: () => worker.finished });
  await pause(parameters.warmUpSeconds * 1_000);
  const before = worker.steps;
  worker.latency.reset();
  const startedAtMs = performance.now();
  await pause(parameters.seconds * 1_000);
  const elapsedMs = performance.now() - startedAtMs;
  const measured = {
    operations: worker.steps - before,
    elapsedMs,
    latency: worker.latency,
    rssMiB: rssMiB(server.child.pid as number),
  };
  await starter.stop();
  worker.stop();
  await stop();
  return resultOf("step", parameters, measured);
}
