import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { program } from "../../scripts/programs.ts";
import { EventSchema, EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunSchema, RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { everstep } from "./everstep.ts";

// Every verb against a real server: what it prints on which stream, and its exit code.

const folder = mkdtempSync(join(tmpdir(), "everstep-cli-"));
let server: ServerProcess;
const run = (...args: string[]) => everstep(["run", ...args, "--address", server.url]);
const leases = () => createClient(LeaseService, createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" }));
const runs = () => createClient(RunService, createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" }));
const text = (value: unknown) => ({ data: { case: "json" as const, value: JSON.stringify(value) } });

beforeAll(async () => {
  server = await ServerProcess.start({ db: join(folder, "everstep.db"), args: ["--lease-ttl", "1s"] });
});
afterAll(async () => {
  await server?.signal("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

async function leased(queue: string) {
  const { assignment } = await leases().acquireLease({ queues: [queue], workerId: "cli-test", leaseTtlMs: 60_000n });
  return assignment!.lease!;
}

test("start, show, list: tables for people, protojson for programs", async () => {
  const started = await run(
    "start",
    "order",
    "--run-id",
    "r1",
    "--run-key",
    "k",
    "--queue",
    "q1",
    "--input",
    '{"a":1}',
  );
  expect(started).toMatchObject({ code: 0, err: "" });
  expect(started.out).toMatch(/^run +r1$/m);
  expect(started.out).toMatch(/^status +QUEUED$/m);
  const shown = await run("show", "r1", "-o", "json");
  expect(fromJsonString(RunSchema, shown.out)).toMatchObject({ runId: "r1", runKey: "k", input: text({ a: 1 }) });
  await run("start", "order", "--run-id", "r2", "--queue", "q1", "--priority", "0");
  const lines = (await run("list", "--queue", "q1", "-o", "jsonl")).out.trim().split("\n");
  expect(lines.map((line) => fromJsonString(RunSchema, line).runId)).toEqual(["r2", "r1"]);
  const table = await run("list", "--queue", "q1", "--status", "queued", "--limit", "1");
  expect(table.out.split("\n")[0]).toMatch(/^RUN +WORKFLOW +STATUS +STEPS +CREATED$/);
  expect(table.out).toContain("r2");
  expect(table.out).not.toContain("r1");
  // Nothing is coloured, so nothing has to be switched off.
  expect(table.out).not.toContain("\u001b");
});

test("a start is made once: a taken id or key is a conflict", async () => {
  await run("start", "order", "--run-id", "once", "--run-key", "held");
  expect(await run("start", "order", "--run-id", "once")).toMatchObject({ code: 0 });
  const taken = await run("start", "order", "--run-id", "other", "--run-key", "held");
  expect(taken).toMatchObject({ code: 6, out: "" });
  expect(taken.err).toContain("held");
});

test("result: the output, a failure, a time that is over", async () => {
  expect((await run("start", "w", "--run-id", "done", "--queue", "q2")).code).toBe(0);
  expect(await run("result", "done", "--timeout", "10ms")).toMatchObject({ code: 7 });
  await leases().completeRun({ lease: await leased("q2"), output: text("fine") });
  const done = await run("result", "done");
  expect(done.code).toBe(0);
  expect(done.out).toMatch(/^output +"fine"$/m);
  await run("start", "w", "--run-id", "broken", "--queue", "q2");
  const lease = await leased("q2");
  const failure = { type: "CardDeclined", message: "no" };
  await leases().failStep({ lease, stepKey: "charge", attempt: 1, failure, retryPolicy: { maxAttempts: 1 } });
  await leases().failRun({ lease, failure, failedSteps: ["charge"] });
  const broken = await run("result", "broken");
  expect(broken.code).toBe(1);
  expect(broken.out).toMatch(/^failure +CardDeclined: no$/m);
  const retried = await run("retry", "broken", "--reason", "the bank is back", "-o", "json");
  expect(fromJsonString(RunSchema, retried.out).status).toBe(RunStatus.QUEUED);
  expect(await run("retry", "broken")).toMatchObject({ code: 6, out: "" });
});

test("watch prints the history until the run is closed", async () => {
  await run("start", "w", "--run-id", "watched", "--queue", "q3");
  const watching = run("watch", "watched");
  const asJson = run("watch", "watched", "-o", "jsonl");
  await leases().completeRun({ lease: await leased("q3") });
  const watched = await watching;
  expect(watched.code).toBe(0);
  expect(watched.out.split("\n").map((line) => line.slice(16).trim())).toEqual([
    "run created",
    expect.stringMatching(/^lease granted +by cli-test, epoch 1$/),
    "lease ended",
    "run completed",
    "",
  ]);
  const events = (await asJson).out.trim().split("\n");
  expect(events.map((line) => Number(fromJsonString(EventSchema, line).seq))).toEqual([1, 2, 3, 4]);
});

test("signal, explain, cancel, terminate", async () => {
  await run("start", "w", "--run-id", "steered", "--queue", "nobody");
  const signalled = await run("signal", "steered", "approval", '{"by":"Ada"}');
  expect(signalled).toMatchObject({ code: 0, out: "signal 2 was received\n" });
  expect(await run("signal", "steered", "approval", "{")).toMatchObject({ code: 2, out: "" });
  const explained = await run("explain", "steered");
  expect(explained.code).toBe(0);
  expect(explained.out).toContain("nobody");
  expect((await run("cancel", "steered", "--reason", "enough")).out).toMatch(/^status +CANCELLED$/m);
  expect(await run("signal", "steered", "late")).toMatchObject({ code: 6 });
  await run("start", "w", "--run-id", "ended", "--queue", "nobody");
  expect((await run("terminate", "ended")).out).toMatch(/^status +TERMINATED$/m);
  expect(await run("terminate", "ended")).toMatchObject({ code: 0 });
});

test("pause and resume", async () => {
  await run("start", "w", "--run-id", "paused", "--queue", "nobody");
  expect((await run("pause", "paused", "--grace", "1s")).out).toMatch(/^status +PAUSED$/m);
  expect((await run("resume", "paused")).out).toMatch(/^status +QUEUED$/m);
});

describe("a run that was lost inside an at-most-once step", () => {
  async function uncertain(runId: string): Promise<void> {
    await run("start", "w", "--run-id", runId, "--queue", runId);
    const { assignment } = await leases().acquireLease({ queues: [runId], workerId: "lost", leaseTtlMs: 1_000n });
    await leases().startStep({ lease: assignment!.lease!, stepKey: "pay", atMostOnce: true });
    // Its lease is not renewed: the expiry finds the step open.
    const watching = new AbortController();
    const events = runs().watchRun({ runId }, { signal: watching.signal });
    for await (const page of events) if (page.events.some(({ type }) => type === EventType.RUN_PAUSED)) break;
    watching.abort();
  }
  test("asks what became of it", async () => {
    await uncertain("lost-1");
    const asked = await run("resume", "lost-1");
    expect(asked.code).toBe(2);
    expect(asked.err).toContain("say REPEAT, COMPLETE or FAIL");
    expect(await run("resume", "lost-1", "--step-output", "1")).toMatchObject({ code: 2 });
    const resumed = await run("resume", "lost-1", "--resolution", "complete", "--step-output", '{"paid":42}');
    expect(resumed.out).toMatch(/^steps +1$/m);
    await uncertain("lost-2");
    expect((await run("resume", "lost-2", "--resolution", "fail", "--failure", "not paid")).code).toBe(0);
    await uncertain("lost-3");
    expect((await run("resume", "lost-3", "--resolution", "repeat")).out).toMatch(/^status +QUEUED$/m);
  });
});

test("who reads the output may have enough of it", async () => {
  const child = spawn(process.execPath, [program("everstep"), "run", "--help"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy(); // long before it has anything to say
  let told = "";
  child.stderr.on("data", (chunk) => {
    told += chunk;
  });
  const [code] = await once(child, "close");
  expect({ code, told }).toEqual({ code: 0, told: "" });
});

test("exit codes: usage, not found, unavailable, denied", async () => {
  expect(await everstep(["run", "start"])).toMatchObject({ code: 2, out: "" });
  expect(await everstep(["nonsense"])).toMatchObject({ code: 2, out: "" });
  expect(await run("list", "-o", "xml")).toMatchObject({ code: 2, out: "" });
  expect(await run("list", "--status", "asleep")).toMatchObject({
    code: 2,
    out: "",
    err: expect.stringMatching(/is no status.*QUEUED, .*TERMINATED/),
  });
  expect(await run("start", "w", "--input", "fine")).toMatchObject({
    code: 2,
    out: "",
    err: expect.stringContaining(`a text is written as '"fine"'`),
  });
  expect(await run("start", "w", "--delay", "soon")).toMatchObject({ code: 2, out: "" });
  expect(await run("start", "w", "--priority", "10")).toMatchObject({
    code: 2,
    err: expect.stringContaining("priority"),
  });
  expect(await run("show", "nobody")).toMatchObject({ code: 3, out: "" });
  expect(await everstep(["run", "list", "--address", "http://127.0.0.1:1"])).toMatchObject({
    code: 4,
    out: "",
    err: expect.stringMatching(/ECONNREFUSED.*no server is there/),
  });
  const locked = await ServerProcess.start({ db: join(folder, "locked.db"), args: ["--api-key", "secret-key"] });
  const list = ["run", "list", "--address", locked.url];
  expect(await everstep(list)).toMatchObject({ code: 5, out: "" });
  expect(await everstep([...list, "--api-key", "wrong-key"])).toMatchObject({ code: 5 });
  expect(await everstep([...list, "--api-key", "secret-key"])).toMatchObject({ code: 0 });
  await locked.signal("SIGTERM");
});
