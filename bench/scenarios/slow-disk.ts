import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DiskFaults } from "../../test/support/disk-faults.ts";
import { createBenchFolder } from "../load/folder.ts";
import { measure } from "../load/measure.ts";
import type { Probed } from "../load/probes.ts";
import { startBenchServer } from "../load/server.ts";
import { createStarter } from "../load/starter.ts";
import { startRawClient } from "../load/raw-client.ts";
import { type Parameters, type Result, resultOf } from "../result.ts";

// A disk whose every sync takes 50 ms more (a preloaded shim): steps as in `step`, and beside them the beats of another
// worker and reads of a run, which no sync may hold up.

export async function slowDisk(parameters: Parameters): Promise<Result[]> {
  const folder = createBenchFolder();
  const faults = new DiskFaults(folder.path);
  const server = await startBenchServer({ env: faults.env });
  faults.begin("slow");
  const { client, worker } = startRawClient(server.url, parameters);
  const starter = createStarter(server.url, { ahead: parameters.inFlight + 256, finished: () => worker.finished });
  const probes = fork(join(import.meta.dirname, "../load/probes.ts"), [server.url]);
  const { latency } = worker;
  const reset = () => {
    latency.reset();
    probes.send("reset");
  };
  const measured = await measure(parameters, {
    count: () => worker.steps,
    latency: { quantileMs: (q) => latency.quantileMs(q), reset },
    pid: server.pid,
  });
  probes.send("report");
  const [probed] = (await once(probes, "message")) as [Probed];
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
      ...probed,
    }),
  ];
}
