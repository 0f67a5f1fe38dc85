import { Histogram } from "../histogram.ts";
import { measure } from "../load/measure.ts";
import { createRunsClient, startMany } from "../load/runs-client.ts";
import { type BenchServer, startBenchServer } from "../load/server.ts";
import { failWith, openStream } from "../load/stream.ts";
import { type Measured, type Parameters, type Result, resultOf } from "../result.ts";

// Pushed grants and nothing else: runs are queued before, and the worker, which finishes none, keeps room for
// `inFlight` more by raising its capacity with every grant. The latency runs from the room to the grant.

/** One session may hold so many. */
const grantsMax = 99_000;
/** So that enough of them are left to be measured, also on a fast server. */
const warmUpSecondsMax = 2;

export async function acquire(parameters: Parameters): Promise<Result[]> {
  const server = await startBenchServer();
  const measured = await loadGrants(server, parameters);
  await server.stop();
  return [resultOf("acquire", parameters, measured)];
}

export async function loadGrants(server: BenchServer, parameters: Parameters): Promise<Measured> {
  await startMany(createRunsClient(server.url), grantsMax);
  const latency = new Histogram();
  let grants = 0;
  let lastGrantAtMs = 0;
  /** When room for each grant was made, in order. */
  const roomAtMs: number[] = new Array(parameters.inFlight).fill(performance.now());
  const stream = openStream(server.url, {
    capacity: parameters.inFlight,
    onFrame(frame) {
      if (frame.case !== "assign") return;
      lastGrantAtMs = performance.now();
      const leases = frame.value.assignments.flatMap(({ lease }) => (lease === undefined ? [] : [lease]));
      stream.push({ case: "accept", value: { $typeName: "everstep.v1.Accept", leases } });
      for (const _ of leases) {
        latency.record(lastGrantAtMs - (roomAtMs[grants++] as number));
        roomAtMs.push(lastGrantAtMs);
      }
      const capacity = Math.min(grants + parameters.inFlight, grantsMax);
      stream.push({ case: "capacity", value: { $typeName: "everstep.v1.Capacity", capacity } });
    },
  });
  failWith(stream.ended);
  const warmUpSeconds = Math.min(parameters.warmUpSeconds, warmUpSecondsMax);
  const startedAtMs = performance.now() + warmUpSeconds * 1_000;
  const measured = await measure({ ...parameters, warmUpSeconds }, { count: () => grants, latency, pid: server.pid });
  stream.stop();
  if (measured.operations === 0) throw new Error("every run was granted before the measured time began");
  // A fast server may have granted them all before the time was over.
  return { ...measured, elapsedMs: Math.min(measured.elapsedMs, lastGrantAtMs - startedAtMs) };
}
