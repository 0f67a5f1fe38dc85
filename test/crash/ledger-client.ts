import { closeSync, openSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";

// A client that believes the server: every acknowledged operation becomes a line of the ledger, written after the
// answer came. It shares nothing with the server but the proto. An answer that was lost is asked for again with the
// same ids, so the server must recognise the repetition. Arguments: URL, ledger file, concurrency, name.

const [url = "", ledgerPath = "", concurrency = "16", name = "c"] = process.argv.slice(2);
const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1", defaultTimeoutMs: 5_000 });
const runs = createClient(RunService, transport);
const leases = createClient(LeaseService, transport);
const ledger = openSync(ledgerPath, "a");
let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
});

function acknowledged(line: object): void {
  writeSync(ledger, `${JSON.stringify(line)}\n`);
}
const json = (text: string) => ({ data: { case: "json" as const, value: JSON.stringify(text) } });
/** A refusal of the server carries its reason as a detail; an error without one is the connection's. */
function isRefusal(error: ConnectError): boolean {
  return error.details.length > 0 && error.code !== Code.ResourceExhausted && error.code !== Code.Unavailable;
}

/** Repeats a call whose answer was lost; undefined when it was refused for good. */
async function persist<T>(call: () => Promise<T>): Promise<T | undefined> {
  while (!stopping) {
    try {
      return await call();
    } catch (error) {
      const refused = ConnectError.from(error);
      if (isRefusal(refused)) return undefined;
      await pause(20);
    }
  }
  return undefined;
}

async function carryRun(runId: string, workerId: string): Promise<void> {
  const started = await persist(() => runs.startRun({ workflow: "crash", queue: workerId, runId, requestId: runId }));
  if (started === undefined) {
    if (stopping) return;
    throw new Error(`the start of ${runId} was refused`);
  }
  acknowledged({ op: "start", runId });
  let step = 1;
  while (!stopping && step <= 6) {
    const requestId = `${runId}/${step}`;
    const acquired = await persist(() =>
      leases.acquireLease({ queues: [workerId], workflows: ["crash"], workerId, requestId }),
    );
    const lease = acquired?.assignment?.lease;
    if (lease === undefined) {
      await pause(50);
      continue;
    }
    if (lease.runId !== runId) throw new Error(`asked for ${runId} and got ${lease.runId}`);
    acknowledged({ op: "acquire", runId, epoch: Number(lease.epoch) });
    for (const entry of acquired?.assignment?.journal ?? []) {
      step = Math.max(step, Number(entry.stepKey.slice(1)) + 1);
    }
    step = await work(runId, lease, step);
  }
}

async function work(runId: string, lease: Lease, from: number): Promise<number> {
  for (let step = from; step <= 5; step++) {
    const value = `${runId}:${step}:${"x".repeat(20)}`;
    const request = { lease, opId: BigInt(step), stepKey: `s${step}`, output: json(value) };
    const answer = await persist(() => leases.completeStep(request));
    if (answer === undefined) return step;
    acknowledged({ op: "step", runId, stepKey: `s${step}`, output: JSON.stringify(value) });
  }
  const done = await persist(() => leases.completeRun({ lease, opId: 100n, output: json(runId) }));
  if (done === undefined) return 6;
  acknowledged({ op: "complete", runId });
  return 7;
}

async function loop(index: number): Promise<void> {
  for (let n = 0; !stopping; n++) await carryRun(`${name}-${index}-${n}`, `${name}-${index}`);
}
await Promise.all(Array.from({ length: Number(concurrency) }, (_, index) => loop(index)));
closeSync(ledger);
