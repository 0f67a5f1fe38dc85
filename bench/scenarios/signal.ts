import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "../../clients/typescript/src/index.ts";
import { Histogram } from "../histogram.ts";
import { startBenchServer } from "../load/server.ts";
import { type Parameters, type Result, resultOf, rssMiB, sharedNowMs } from "../result.ts";

// Latency at a fifth of the maximum load, by the real client and the real SDK worker. Each run is started, waits for
// a signal, gets it and ends. First as many as the machine can carry, to learn the maximum; then a fifth of it, at a
// pace that does not wait for answers. Starts and signals are spread at random: evenly paced, and each signal as long
// behind its start, every signal would meet a later start when that time is a multiple of the pace, and none otherwise.

const share = 0.2;
/** Long enough for the run to be suspended; up to twice that. */
const signalAfterMsMin = 50;

type Kind = "start" | "signal" | "signalHeld";

export async function signal(parameters: Parameters): Promise<Result[]> {
  const server = await startBenchServer();
  const capacity = 4 * parameters.inFlight;
  const worker = fork(join(import.meta.dirname, "../load/latency-worker.ts"), [server.url, String(capacity)]);
  const latencies = { start: new Histogram(), signal: new Histogram(), signalHeld: new Histogram() };
  let resumed = 0;
  worker.on("message", ({ kind, ms }: { kind: Kind; ms: number }) => {
    latencies[kind].record(ms);
    if (kind !== "start") resumed += 1;
  });
  const client = new Client({ address: server.url });
  async function run(held: boolean, waitMs: number): Promise<void> {
    const handle = await client.start("latency", { input: { sentAtMs: sharedNowMs(), held } });
    if (waitMs > 0) await pause(waitMs);
    await client.signal(handle.runId, "go", sharedNowMs());
  }

  let stopped = false;
  const lanes = Array.from({ length: parameters.inFlight }, async (_, lane) => {
    while (!stopped) await run(lane % 2 === 0, 0);
  });
  await pause(parameters.warmUpSeconds * 1_000);
  const before = resumed;
  await pause(2_000);
  const maxPerSecond = (resumed - before) / 2;
  stopped = true;
  await Promise.all(lanes);
  await pause(500);

  for (const latency of Object.values(latencies)) latency.reset();
  const perSecond = maxPerSecond * share;
  const startedAtMs = performance.now();
  let begun = 0;
  let nextAtMs = 0;
  const open: Promise<void>[] = [];
  const counted = resumed;
  for (let elapsedMs = 0; elapsedMs < parameters.seconds * 1_000; elapsedMs = performance.now() - startedAtMs) {
    for (; nextAtMs <= elapsedMs; nextAtMs = (1_000 * (begun + Math.random())) / perSecond)
      open.push(run(begun++ % 2 === 0, signalAfterMsMin * (1 + Math.random())));
    await pause(1);
  }
  await Promise.all(open);
  await pause(200);
  const operations = resumed - counted;
  const elapsedMs = parameters.seconds * 1_000;
  const memory = rssMiB(server.pid);
  worker.kill("SIGTERM");
  await once(worker, "exit");
  await server.stop();
  return (["start", "signal", "signalHeld"] as const).map((kind) =>
    resultOf(
      "signal",
      parameters,
      { operations, elapsedMs, latency: latencies[kind], rssMiB: memory },
      {
        kind,
        maxPerSecond: Math.round(maxPerSecond),
      },
    ),
  );
}
