import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client, Worker, workflow } from "../../clients/typescript/src/index.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { RawSession } from "../support/raw-session.ts";
import { ServerProcess } from "../support/server-process.ts";

// What waits must cost neither memory nor time to what does not.

let folder: string;
let server: ServerProcess;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "everstep-backlog-"));
  server = await ServerProcess.start({ db: join(folder, "everstep.db") });
});
afterAll(async () => {
  await server?.signal("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function residentMiB(): number {
  const status = readFileSync(`/proc/${server.child.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) / 1024;
}
const runs = () => createClient(RunService, createGrpcTransport({ baseUrl: server.url }));
async function startMany(count: number, more: { workflow: string; startDelayMs?: bigint; priority?: number }) {
  const client = runs();
  const input = { data: { case: "json" as const, value: '"twenty bytes or more"' } };
  const batches = Array.from({ length: count / 1_000 }, () =>
    Array.from({ length: 1_000 }, () => ({ ...more, input })),
  );
  const lanes = Array.from({ length: 4 }, async () => {
    for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) {
      const { results } = await client.startRuns({ runs: batch });
      expect(results).toHaveLength(batch.length);
    }
  });
  await Promise.all(lanes);
}
async function firstGrantMs(workflowName: string, more: { priority?: number } = {}): Promise<number> {
  const session = new RawSession(server.url);
  session.hello({ workerInstanceId: `grants-${workflowName}`, workflows: [workflowName], capacity: 1 });
  await session.next("welcome");
  const startedAt = performance.now();
  await runs().startRun({ workflow: workflowName, runId: `now-${workflowName}`, ...more });
  const { assignments } = await session.next("assign");
  const tookMs = performance.now() - startedAt;
  expect(assignments[0]?.lease?.runId).toBe(`now-${workflowName}`);
  session.send({ case: "goodbye", value: {} });
  await session.end();
  return tookMs;
}

test("1,000 runs that wait a day and 100,000 that are queued cost less than 100 MiB", async () => {
  const client = new Client({ address: server.url });
  const day = workflow("day", async (ctx) => ctx.sleep("day", 86_400_000));
  const empty = residentMiB();
  const worker = new Worker({ address: server.url, workflows: [day], capacity: 500 }).start();
  await startMany(1_000, { workflow: "day" });
  await startMany(100_000, { workflow: "unserved" });
  for (let waiting = 0; waiting < 1_000; ) {
    const { counts } = await runs().countRuns({ filter: { workflow: "day" } });
    waiting = Number(counts.find((row) => row.status === 3)?.count ?? 0);
  }
  worker.close();
  client.close();
  const loaded = residentMiB();
  // What the runs themselves cost shows in a server that has them and did not carry their 101,000 starts.
  await server.signal("SIGTERM");
  server = await ServerProcess.start({ db: join(folder, "everstep.db") });
  expect(await firstGrantMs("any")).toBeLessThan(2_000);
  const holding = residentMiB();
  const told = [empty, loaded, holding].map((size) => size.toFixed(0));
  console.log(`resident: ${told[0]} MiB empty, ${told[1]} MiB behind 101,000 starts, ${told[2]} MiB restarted on them`);
  expect(holding - empty).toBeLessThan(100);
  expect(loaded - empty).toBeLessThan(200);
}, 60_000);

test("100,000 queued runs that nobody serves delay nothing in the same queue", async () => {
  expect(await firstGrantMs("served")).toBeLessThan(2_000);
}, 30_000);

test("100,000 runs of priority 0 that are due in a minute do not delay one of priority 5 that is due now", async () => {
  await startMany(100_000, { workflow: "later", startDelayMs: 60_000n, priority: 0 });
  expect(await firstGrantMs("later", { priority: 5 })).toBeLessThan(2_000);
}, 60_000);
