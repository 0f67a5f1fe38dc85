import { Agent, request } from "node:http";
import { randomUUID } from "node:crypto";
import { result, runClosedLoop, steps } from "../closed-loop.mjs";

// Five-step runs by the seed's JSON API, on a server that runs already: create, acquire, five times start and complete
// a step, complete. Each lane is a worker of its own and acquires whatever is oldest, as workers do.

const inFlight = Number(process.argv[2]);
const base = new URL(process.argv[3]);
const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
process.on("SIGTERM", () => process.exit(0));

function post(path, body) {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const call = request(
      new URL(path, base),
      {
        method: "POST",
        agent,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(text) },
      },
      (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => (answer += chunk));
        response.on("end", () => {
          if (response.statusCode < 300) resolve(JSON.parse(answer));
          else reject(new Error(`${path}: ${response.statusCode} ${answer}`));
        });
      },
    );
    call.on("error", reject);
    call.end(text);
  });
}

let lanes = 0;
const workerOf = new WeakMap();
async function runOne(lane) {
  const worker_id = workerOf.get(lane) ?? `bench-${process.pid}-${++lanes}`;
  workerOf.set(lane, worker_id);
  await post("/workflows", { workflow_id: randomUUID(), workflow_type: "bench" });
  for (;;) {
    const run = await post("/leases/acquire", { worker_id });
    if (run.status === "no_work") continue;
    const workflow_id = run.workflow_id ?? run.id;
    for (const [step_number] of steps.entries()) {
      await post("/steps/start", { workflow_id, worker_id, step_number, input: {} });
      await post("/steps/complete", { workflow_id, worker_id, step_number, input: {}, output: { result } });
    }
    await post(`/workflows/${workflow_id}/complete`, { worker_id });
    return;
  }
}
runClosedLoop(inFlight, runOne);
