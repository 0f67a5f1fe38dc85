import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { program } from "../../scripts/programs.ts";
import { Client } from "../../clients/typescript/src/index.ts";
import { ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { type Event, EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RawSession } from "../support/raw-session.ts";
import { ServerProcess } from "../support/server-process.ts";

// A worker that was stopped past its lease does not know it when it goes on. The epoch does.

let folder: string;
let server: ServerProcess;
let client: Client;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "everstep-stopped-"));
  server = await ServerProcess.start({ db: join(folder, "everstep.db"), args: ["--lease-ttl", "1s"] });
  client = new Client({ address: server.url });
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  client.close();
  await server.signal("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

test("a stopped worker's run is finished elsewhere, once, and its handler is cancelled", {
  timeout: 40_000,
}, async () => {
  const ledger = join(folder, "ledger");
  writeFileSync(ledger, "");
  const lines = () => readFileSync(ledger, "utf8").trim().split("\n");
  const startWorker = (stepMs: number): ChildProcess => {
    const child = spawn(process.execPath, [program("stopped-worker"), server.url, ledger, String(stepMs)], {
      stdio: "ignore",
    });
    children.push(child);
    return child;
  };
  const seen = (line: string) => vi.waitFor(() => expect(lines()).toContain(line), { timeout: 20_000 });
  const run = await client.start("stoppable", { runId: "r" });
  // Stopped in the middle of its second step, which ends while it is stopped.
  const stopped = startWorker(300);
  await seen(`${stopped.pid} working`);
  stopped.kill("SIGSTOP");
  const other = startWorker(0);
  expect(await run.result()).toEqual({ first: stopped.pid, second: other.pid });
  stopped.kill("SIGCONT");
  await seen(`${stopped.pid} cancelled LeaseLostError`);

  const events: Event[] = [];
  for await (const event of client.watch("r")) events.push(event);
  const of = (type: EventType) => events.filter((event) => event.type === type);
  // On a slow machine the other worker, too, may have lost a lease or two before it was done.
  const { epoch } = of(EventType.RUN_COMPLETED)[0]!;
  expect(epoch).toBeGreaterThan(1n);
  expect(of(EventType.STEP_COMPLETED).map((event) => event.stepKey)).toEqual(["first", "second"]);
  expect(of(EventType.STEP_COMPLETED)[0]!.epoch).toBe(1n);
  expect(of(EventType.RUN_COMPLETED)).toHaveLength(1);
  const begun = lines().filter((line) => line.includes("begun"));
  expect(begun[0]).toBe(`${stopped.pid} begun 1`);
  expect(begun.slice(1).every((line) => line.startsWith(`${other.pid} begun`))).toBe(true);
});

test("every write under a lease that has ended is refused LEASE_LOST and changes nothing", {
  timeout: 30_000,
}, async () => {
  await client.start("w", { runId: "r" });
  const leases = createClient(LeaseService, createGrpcTransport({ baseUrl: server.url }));
  const { assignment } = await leases.acquireLease({ workflows: ["w"], workerId: "slow", waitMs: 5_000n });
  const lease = assignment!.lease!;
  // Nobody renews it; the next holder proves that it has ended.
  const next = await leases.acquireLease({
    workflows: ["w"],
    workerId: "next",
    waitMs: 20_000n,
    leaseTtlMs: 60_000n,
  });
  expect(next.assignment?.lease).toMatchObject({ runId: "r", epoch: 2n });
  const history = async () => {
    const page = await client.get("r");
    return page.lastSeq;
  };
  const before = await history();
  const stepKey = "late";
  const failure = { type: "Error", message: "late" };
  const writes: [string, () => Promise<unknown>][] = [
    ["RenewLease", () => leases.renewLease({ lease })],
    ["ReleaseLease", () => leases.releaseLease({ lease })],
    ["StartStep", () => leases.startStep({ lease, stepKey, attempt: 1 })],
    ["CompleteStep", () => leases.completeStep({ lease, stepKey })],
    ["FailStep", () => leases.failStep({ lease, stepKey, attempt: 1, failure })],
    ["CreateTimer", () => leases.createTimer({ lease, stepKey, delayMs: 1n })],
    ["CancelTimer", () => leases.cancelTimer({ lease, stepKey })],
    ["ConsumeSignal", () => leases.consumeSignal({ lease, stepKey, name: "s" })],
    ["SuspendRun", () => leases.suspendRun({ lease, awaits: [{ what: { case: "signal", value: "s" } }] })],
    ["CompleteRun", () => leases.completeRun({ lease })],
    ["FailRun", () => leases.failRun({ lease, failure })],
  ];
  for (const [name, write] of writes) {
    const error = ConnectError.from(await write().catch((thrown: unknown) => thrown));
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason, name).toBe("LEASE_LOST");
    expect(error.code, name).not.toBe(Code.Unknown);
  }
  const stream = new RawSession(server.url);
  stream.hello({ held: [{ lease }] });
  expect((await stream.next("welcome")).verdicts).toMatchObject([{ kept: false }]);
  const change = { case: "completeStep" as const, value: { stepKey } };
  stream.send({ case: "ops", value: { ops: [{ opId: 1n, lease, changes: [{ change }] }] } });
  expect((await stream.result(1n)).result).toMatchObject({ case: "refused" });
  stream.send({ case: "beat", value: { beatSeq: 1n, held: [{ leaseId: lease.leaseId, epoch: lease.epoch }] } });
  expect((await stream.next("beatAck")).lost).toHaveLength(1);
  stream.cut();
  expect(await history()).toBe(before);
});
