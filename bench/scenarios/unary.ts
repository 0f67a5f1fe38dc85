import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { Histogram } from "../histogram.ts";
import { measure } from "../load/measure.ts";
import { createRunsClient } from "../load/runs-client.ts";
import { startBenchServer } from "../load/server.ts";
import { type Parameters, type Result, resultOf } from "../result.ts";

// The same work by single calls, `inFlight` of them at once: StartRun; AcquireLease and CompleteRun; CompleteStep.
// What HTTP costs for each call is the difference to start, acquire and step.

const stepsPerRun = 20;

type Client = ReturnType<typeof createLeaseClient>;

function createLeaseClient(url: string) {
  return createClient(LeaseService, createGrpcTransport({ baseUrl: url }));
}

export async function unary(parameters: Parameters): Promise<Result[]> {
  const results: Result[] = [];
  for (const call of ["StartRun", "AcquireLease", "CompleteStep"] as const) {
    const server = await startBenchServer();
    const runs = createRunsClient(server.url);
    const leases = createLeaseClient(server.url);
    const latency = new Histogram();
    const counter = { count: 0 };
    let stopped = false;
    const lanes = Array.from({ length: parameters.inFlight }, async () => {
      while (!stopped) {
        const timed = async (work: () => Promise<unknown>) => {
          const sentAtMs = performance.now();
          await work();
          latency.record(performance.now() - sentAtMs);
          counter.count += 1;
        };
        const startRun = () => runs.startRun({ workflow: "bench" });
        if (call === "StartRun") {
          await timed(startRun);
          continue;
        }
        await startRun();
        const lease = await timedAcquire(leases, call === "AcquireLease" ? timed : (work) => work());
        for (let step = 1; call === "CompleteStep" && step <= stepsPerRun && !stopped; step++) {
          const output = { data: { case: "json" as const, value: '"twenty bytes of step"' } };
          await timed(() => leases.completeStep({ lease, stepKey: `s${step}`, output, elapsedMs: 1n }));
        }
        await leases.completeRun({ lease });
      }
    });
    const measured = await measure(parameters, { count: () => counter.count, latency, pid: server.pid });
    stopped = true;
    await Promise.all(lanes);
    await server.stop();
    results.push(resultOf("unary", parameters, measured, { call }));
  }
  return results;
}

async function timedAcquire(leases: Client, timed: (work: () => Promise<unknown>) => Promise<unknown>) {
  let lease: Awaited<ReturnType<Client["acquireLease"]>>["assignment"];
  await timed(async () => {
    const request = { workerId: "bench", queues: ["default"], workflows: ["bench"], waitMs: 10_000n };
    ({ assignment: lease } = await leases.acquireLease(request));
  });
  if (lease?.lease === undefined) throw new Error("a run was started and not granted");
  return lease.lease;
}
