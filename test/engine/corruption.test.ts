import { setImmediate as immediate } from "node:timers/promises";
import { expect, test } from "vitest";
import type { LeaseHandle } from "../../src/engine/frames.ts";
import { verifyFile } from "../../src/store/sqlite/verify.ts";
import { useTemporaryFile } from "../store/temporary.ts";
import { EngineRig } from "../support/engine-rig.ts";
import { completeStep, json, startStep } from "../support/given.ts";

// A history that cannot be read costs its own run and nobody else, whoever meets it first and however late.

const file = useTemporaryFile();
const corrupt = { reason: "CORRUPT_HISTORY" };
const setAside = { status: "PAUSED", pauseReason: "CORRUPT_HISTORY" };

/** On a real file, with every cold run read anew. */
async function openRig(): Promise<EngineRig> {
  const rig = new EngineRig({ store: await file.open(), runCacheMax: 1 });
  rig.settle = async () => {
    for (let quiet = 0; quiet < 5; quiet++) {
      await immediate();
      if (rig.engine.status().mailbox > 0) quiet = 0;
    }
  };
  return rig;
}

/** Turns over a byte of the step's stored output. */
function tamper(runNo: number): void {
  file.tamper((database) => {
    const { changes } = database
      .prepare(`UPDATE events SET payload = '"#"' WHERE run_no = ? AND step_key = 'a'`)
      .run(runNo);
    expect(changes).toBe(1);
  });
}

/** A run with one finished step, under a lease. */
async function leased(rig: EngineRig, runId: string): Promise<LeaseHandle> {
  await rig.started({ runId });
  const got = await rig.acquire();
  await rig.unary(got!.lease, completeStep("a", "x"));
  return got!.lease;
}
const suspend = (rig: EngineRig, lease: LeaseHandle) =>
  rig.unary(lease, { type: "SuspendRun", awaits: [{ kind: "signal", name: "go" }], noticesSeen: 100 });
const signal = (rig: EngineRig, runId: string) =>
  rig.engine.signalRun({ namespace: "default", runId }, { name: "go", payload: json(1), requestId: "" });

test("a command that meets it is refused; the run is set aside, may be terminated, and the others go on", async () => {
  const rig = await openRig();
  for (const runId of ["bad", "good"]) {
    const lease = await leased(rig, runId);
    await rig.unary(lease, { type: "SetTimer", stepKey: "nap", delayMs: 60_000, signalName: "" });
    await suspend(rig, lease);
  }
  tamper(1);
  await expect(signal(rig, "bad")).rejects.toMatchObject(corrupt);
  expect(await rig.run("bad")).toMatchObject(setAside);
  await expect(signal(rig, "bad")).rejects.toMatchObject(corrupt);
  await signal(rig, "good");
  expect(await rig.run("good")).toMatchObject({ status: "QUEUED" });
  await rig.advanceMs(61_000);
  expect(await rig.run("bad")).toMatchObject(setAside);
  await rig.engine.terminateRun({ namespace: "default", runId: "bad" }, { reason: "lost" });
  expect(await rig.run("bad")).toMatchObject({ status: "TERMINATED" });
  await rig.engine.stop();
  const problems: boolean[] = [];
  await verifyFile(file.path, { onProblem: ({ known }) => problems.push(known) });
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.every((known) => known)).toBe(true);
});

test("a change that repeats an earlier one of its op is told the result: nothing is missing in the history", async () => {
  const rig = await openRig();
  await rig.started();
  const worker = await rig.worker().greeted();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  worker.accept(lease);
  const a = completeStep("a", "x");
  expect(await worker.op(lease, [a, a, startStep("a"), completeStep("b"), a])).toMatchObject({
    kind: "applied",
    already: false,
    notes: [1, 2, 4].map((index) => ({ kind: "stored", index, output: json("x") })),
  });
  expect(await rig.run(lease.runId)).toMatchObject({ status: "RUNNING", stepsCompleted: 2 });
  const other = await worker.op(lease, [completeStep("c", 1), completeStep("c", 2)]);
  expect(other).toMatchObject({ kind: "refused", reason: "STEP_COMPLETED", field: "changes[1].step_key" });
  expect(await rig.run(lease.runId)).toMatchObject({ status: "RUNNING", stepsCompleted: 2 });
  await rig.engine.stop();
});

test("a signal that cannot be read is not taken", async () => {
  const rig = new EngineRig({ store: await file.open() });
  await rig.started({ runId: "bad" });
  await signal(rig, "bad");
  const history = () => {
    let seqs: unknown[] = [];
    file.tamper((database) => {
      seqs = database.prepare("SELECT seq FROM events ORDER BY seq").pluck().all();
    });
    return seqs;
  };
  file.tamper((database) => void database.prepare(`UPDATE events SET payload = '"#"' WHERE seq = 2`).run());
  const take = () => rig.engine.takeSignal({ namespace: "default", runId: "bad" });
  await expect(take()).rejects.toMatchObject(corrupt);
  expect(await rig.run("bad")).toMatchObject(setAside);
  await expect(take()).rejects.toMatchObject(corrupt);
  await rig.engine.stop();
  expect(history()).toEqual([1, 2]);
});

test("under a lease the worker is told, its lease is revoked, and its room is for others", async () => {
  const rig = await openRig();
  await rig.started({ runId: "bad" });
  const worker = await rig.worker({ capacity: 1 }).greeted();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  worker.accept(lease);
  expect(await worker.op(lease, [completeStep("a", "x")])).toMatchObject({ kind: "applied" });
  tamper(1);
  // The result is there already: its answer is read from the history.
  expect(await worker.op(lease, [completeStep("a", "x")], { opId: 9 })).toMatchObject(corrupt);
  await rig.settle();
  expect(worker.of("revoke")).toMatchObject([{ lost: { leaseId: lease.leaseId, reason: "REVOKED" } }]);
  expect(await rig.run("bad")).toMatchObject({ ...setAside, workerId: "" });
  expect(await worker.op(lease, [completeStep("b")], { opId: 10 })).toMatchObject({ reason: "LEASE_LOST" });
  await rig.started({ runId: "good" });
  await rig.settle();
  expect(worker.assignments.map(({ lease: { runId } }) => runId)).toEqual(["bad", "good"]);
  await rig.engine.stop();
});

test("a run that cannot be handed over is set aside; the next one is", async () => {
  const rig = await openRig();
  const lease = await leased(rig, "bad");
  await rig.engine.releaseLease({ namespace: "default", lease, retryAfterMs: 0 });
  await rig.started({ runId: "good" });
  // Known in memory, so that the grant does not read the history: the assignment does.
  await signal(rig, "bad");
  tamper(1);
  const worker = await rig.worker().greeted();
  await rig.settle();
  expect(worker.assignments.map(({ lease: { runId } }) => runId)).toEqual(["good"]);
  expect(await rig.run("bad")).toMatchObject(setAside);
  expect(worker.of("revoke")).toEqual([]);
  await rig.engine.stop();
});

test("an acquire that gets such a run ends with its lease, and the next one finds the next run", async () => {
  const rig = await openRig();
  const lease = await leased(rig, "bad");
  await rig.engine.releaseLease({ namespace: "default", lease, retryAfterMs: 0 });
  await signal(rig, "bad");
  tamper(1);
  expect(await rig.acquire({ waitMs: 10_000 })).toBeUndefined();
  expect(await rig.run("bad")).toMatchObject(setAside);
  await rig.started({ runId: "good" });
  expect(await rig.acquire()).toMatchObject({ lease: { runId: "good" } });
  await rig.engine.stop();
});

test("a query says so and sets an open run aside; a closed one stays closed, and nothing of it is made up", async () => {
  const rig = await openRig();
  await suspend(rig, await leased(rig, "open"));
  const closing = await leased(rig, "closed");
  await rig.unary(closing, { type: "CompleteRun", output: json("done") });
  tamper(1);
  tamper(2);
  const page = { afterSeq: 0, limit: 100 };
  for (const runId of ["open", "closed"]) {
    await expect(rig.engine.history({ namespace: "default", runId }, page)).rejects.toMatchObject(corrupt);
  }
  await rig.settle();
  expect(await rig.run("open")).toMatchObject(setAside);
  expect(await rig.run("closed")).toMatchObject({ status: "COMPLETED" });
  file.tamper((database) => database.exec("UPDATE events SET payload = '0' WHERE run_no = 2 AND payload = '\"done\"'"));
  await expect(rig.run("closed")).rejects.toMatchObject(corrupt);
  await rig.engine.stop();
  const again = await openRig();
  expect(await again.run("open")).toMatchObject(setAside);
  expect(await again.start({ runId: "new" })).toMatchObject({ kind: "started" });
  await again.engine.stop();
});

test("what a row says of an end is held against the history: neither a part of it nor another end is told", async () => {
  const rig = await openRig();
  for (const runId of ["short", "gone", "other", "open"]) {
    const lease = await leased(rig, runId);
    await rig.unary(lease, { type: "CompleteRun", output: json(runId) });
  }
  await leased(rig, "running");
  file.tamper((database) => {
    database.exec("DELETE FROM events WHERE run_no = 1 AND seq = (SELECT max(seq) FROM events WHERE run_no = 1)");
    database.exec("DELETE FROM events WHERE run_no = 2");
    const failed = "UPDATE runs SET status = (SELECT status FROM runs WHERE run_no = 3) + ? WHERE run_no = ?";
    database.prepare(failed).run(1, 3);
    database.exec("UPDATE runs SET status = 1 WHERE run_no = 4");
    database.exec("DELETE FROM events WHERE run_no = 5 AND seq > 1");
  });
  for (const runId of ["short", "gone", "other", "open"]) await expect(rig.run(runId)).rejects.toMatchObject(corrupt);
  const page = { afterSeq: 0, limit: 100 };
  for (const runId of ["short", "gone", "running"]) {
    await expect(rig.engine.history({ namespace: "default", runId }, page)).rejects.toMatchObject(corrupt);
    const steps = rig.engine.listSteps({ namespace: "default", runId }, { offset: 0, limit: 10 });
    await expect(steps).rejects.toMatchObject(corrupt);
    const watched = async () => {
      const watch = { afterSeq: 0, signal: AbortSignal.timeout(60_000) };
      for await (const _ of rig.engine.watchRun({ namespace: "default", runId }, watch));
    };
    await expect(watched()).rejects.toMatchObject(corrupt);
  }
  await rig.engine.stop();
});

test("a worker without a stream has its answer although its notices cannot be read", async () => {
  const rig = await openRig();
  const lease = await leased(rig, "bad");
  await signal(rig, "bad");
  tamper(1);
  expect(await rig.unary(lease, completeStep("b"))).toMatchObject({ applied: { kind: "applied" }, notices: [] });
  await rig.settle();
  expect(await rig.run("bad")).toMatchObject(setAside);
});
