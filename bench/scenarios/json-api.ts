import { Histogram } from "../histogram.ts";
import { createJsonClient, type JsonClient } from "../load/json-client.ts";
import { measure } from "../load/measure.ts";
import { startBenchServer } from "../load/server.ts";
import { type Parameters, type Result, resultOf } from "../result.ts";
import { acquire } from "./acquire.ts";
import { start } from "./start.ts";
import { step } from "./step.ts";

// The JSON API of the predecessor, one call at a time in each of `inFlight` lanes: create, acquire, complete step. Behind
// each the same work as our own workers do it, in the same run: starts by batch, pushed grants, steps over the stream.

const stepsPerWorkflow = 20;
const calls = { create: start, acquire, "complete step": step } as const;
type Call = keyof typeof calls;

export async function jsonApi(parameters: Parameters): Promise<Result[]> {
  const results: Result[] = [];
  for (const call of Object.keys(calls) as Call[]) {
    const json = await measureCall(call, parameters);
    const [ours] = await calls[call](parameters);
    if (ours === undefined) throw new Error(`${call} has no result to be compared with`);
    const ratio = Number((json.opsPerSecond / ours.opsPerSecond).toPrecision(3));
    results.push({ ...json, call, oursPerSecond: ours.opsPerSecond, ratio });
  }
  return results;
}

async function measureCall(call: Call, parameters: Parameters): Promise<Result> {
  const server = await startBenchServer();
  const client = createJsonClient(server.url, parameters.inFlight);
  const latency = new Histogram();
  let count = 0;
  let stopped = false;
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    const sentAtMs = performance.now();
    const answer = await work();
    latency.record(performance.now() - sentAtMs);
    count += 1;
    return answer;
  };
  const plain = <T>(work: () => Promise<T>): Promise<T> => work();
  const lanes = Array.from({ length: parameters.inFlight }, async (_, lane) => {
    for (let number = 0; !stopped; number++) {
      const timers = (name: Call) => (name === call ? timed : plain);
      await timers("create")(() => create(client, `${lane}-${number}`));
      if (call === "create") continue;
      const worker_id = `worker-${lane}`;
      const { workflow_id } = await timers("acquire")(() => acquireOne(client, worker_id));
      for (
        let step_number = 1;
        call === "complete step" && step_number <= stepsPerWorkflow && !stopped;
        step_number++
      ) {
        const output = "twenty bytes of step";
        await timed(() => client.post("/steps/complete", { workflow_id, worker_id, step_number, output }));
      }
      await client.post(`/workflows/${workflow_id}/complete`, { worker_id });
    }
  });
  const measured = await measure(parameters, { count: () => count, latency, pid: server.pid });
  stopped = true;
  await Promise.all(lanes);
  client.close();
  await server.stop();
  return resultOf("json-api", parameters, measured);
}

function create(client: JsonClient, workflow_id: string): Promise<unknown> {
  return client.post("/workflows", { workflow_id, workflow_type: "bench" });
}

/** Each lane has created one before it asks, so there is always one for it. */
async function acquireOne(client: JsonClient, worker_id: string): Promise<{ workflow_id: string }> {
  const answer = await client.post<{ workflow_id?: string }>("/leases/acquire", { worker_id });
  if (answer.workflow_id === undefined) throw new Error("a workflow was created and not granted");
  return { workflow_id: answer.workflow_id };
}
