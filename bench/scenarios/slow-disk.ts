import { setTimeout as pause } from "node:timers/promises";
import { Client } from "../../clients/typescript/src/index.ts";
import { DiskFaults } from "../../test/support/disk-faults.ts";
import { Histogram } from "../histogram.ts";
import { createBenchFolder } from "../load/folder.ts";
import { measure } from "../load/measure.ts";
import { startBenchServer } from "../load/server.ts";
import { createStarter } from "../load/starter.ts";
import { startRawClient } from "../load/raw-client.ts";
import { openStream } from "../load/stream.ts";
import { type Parameters, type Result, resultOf } from "../result.ts";

// A disk whose every sync takes 50 ms more (a preloaded shim): steps as in `step`, and beside them the beats of another
// worker and reads of a run, which no sync may hold up.

const beatEveryMs = 20;

export async function slowDisk(parameters: Parameters): Promise<Result[]> {
  const folder = createBenchFolder();
  const faults = new DiskFaults(folder.path);
  const server = await startBenchServer({ env: faults.env });
  faults.begin("slow");
  const { client, worker } = startRawClient(server.url, parameters);
  const starter = createStarter(server.url, { ahead: parameters.inFlight + 256, finished: () => worker.finished });
  const beats = new Histogram();
  const reads = new Histogram();
  let stopped = false;
  const probes = [beat(server.url, beats, () => stopped), read(server.url, reads, () => stopped)];
  const { latency } = worker;
  const measured = await measure(parameters, { count: () => worker.steps, latency, pid: server.pid });
  stopped = true;
  await Promise.all(probes);
  await starter.stop();
  worker.stop();
  const syncs = faults.fired("slow");
  faults.end("slow");
  await server.stop();
  folder.remove();
  return [
    resultOf("slow-disk", parameters, measured, {
      client,
      syncs,
      beatP99Ms: beats.quantileMs(0.99),
      readP99Ms: reads.quantileMs(0.99),
    }),
  ];
}

async function beat(url: string, latency: Histogram, stopped: () => boolean): Promise<void> {
  let sentAtMs = 0;
  const stream = openStream(url, {
    capacity: 1,
    workflow: "nothing",
    identity: "beats",
    onFrame(frame) {
      if (frame.case === "beatAck") latency.record(performance.now() - sentAtMs);
    },
  });
  for (let beatSeq = 1n; !stopped(); beatSeq++) {
    await pause(beatEveryMs);
    sentAtMs = performance.now();
    stream.push({ case: "beat", value: { $typeName: "everstep.v1.Beat", beatSeq, held: [] } });
  }
  stream.stop();
  await stream.ended;
}

async function read(url: string, latency: Histogram, stopped: () => boolean): Promise<void> {
  const client = new Client({ address: url });
  const { runId } = await client.start("read");
  while (!stopped()) {
    await pause(beatEveryMs);
    const sentAtMs = performance.now();
    await client.get(runId);
    latency.record(performance.now() - sentAtMs);
  }
  client.close();
}
