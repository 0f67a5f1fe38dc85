import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import { EngineRig } from "../support/engine-rig.ts";
import { completeStep, startStep } from "../support/given.ts";

// A run that is not in memory is folded from its history, whose pages are bounded by number and by bytes.

const MiB = 1024 * 1024;
const large = { data: "x".repeat(MiB), encoding: "" };

test("a leased run whose results fill more than a page goes on after a restart", async () => {
  const before = new EngineRig();
  const worker = await before.worker().greeted();
  const runId = await before.started();
  await before.settle();
  const { lease } = worker.assignments[0]!;
  const complete = (stepKey: string) =>
    ({ type: "CompleteStep", stepKey, attempt: 0, output: large, elapsedMs: 0 }) as const;
  for (const key of ["a", "b", "c", "d", "e", "f"]) await worker.op(lease, [complete(key)]);
  const after = new EngineRig({ store: before.store, clock: before.clock });
  const held = [{ lease, noticesSeen: 0, lastRefusedOpId: 0 }];
  const again = await after.worker({ instanceId: worker.hello.instanceId, held }).greeted();
  expect(again.of("welcome")[0]?.verdicts).toMatchObject([{ kept: true, lastOpId: 6 }]);
  expect(await again.op(lease, [complete("g")], { opId: 7 })).toMatchObject({ kind: "applied", already: false });
  expect(await after.run(runId)).toMatchObject({ stepsCompleted: 7, lastSeq: 9 });
});

test("a queued run whose signals fill more than a page takes another one after it has left memory", async () => {
  const rig = new EngineRig({ runCacheMax: 1 });
  const runId = await rig.started();
  const signal = () =>
    rig.engine.signalRun({ namespace: "default", runId }, { name: "go", payload: large, requestId: "" });
  for (let sent = 0; sent < 6; sent++) await signal();
  for (let others = 0; others < 3; others++) await rig.started();
  expect(await signal()).toEqual({ signalSeq: 8, already: false });
});

test("what happened to a run that nobody leases is in its view and its history, also when its status stayed", async () => {
  const rig = new EngineRig({ runCacheMax: 1 });
  const ref = { namespace: "default", runId: await rig.started() };
  await rig.advanceMs(5_000);
  for (let sent = 0; sent < 5; sent++)
    await rig.engine.signalRun(ref, { name: "go", payload: undefined, requestId: "" });
  for (let others = 0; others < 3; others++) await rig.started();
  const run = await rig.run(ref.runId);
  expect(run.lastSeq).toBe(6);
  expect(run.updatedAtMs - run.createdAtMs).toBe(5_000);
  expect(await rig.engine.history(ref, { afterSeq: 0, limit: 4 })).toMatchObject({ items: { length: 4 }, more: true });
  expect(await rig.engine.history(ref, { afterSeq: 4, limit: 4 })).toMatchObject({ items: { length: 2 }, more: false });
});

test("a step that ends after a restart takes its timeout with it", async () => {
  const before = new EngineRig();
  const worker = await before.worker().greeted();
  await before.started();
  await before.settle();
  const { lease } = worker.assignments[0]!;
  await worker.op(lease, [startStep("a", { timeoutMs: 60_000 })]);
  expect(before.store.readDeadlines(1)).toMatchObject([{ kind: "stepTimeout", stepKey: "a" }]);
  const after = new EngineRig({ store: before.store, clock: before.clock });
  const held = [{ lease, noticesSeen: 0, lastRefusedOpId: 0 }];
  const again = await after.worker({ instanceId: worker.hello.instanceId, held }).greeted();
  await again.op(lease, [completeStep("a")], { opId: 2 });
  expect(after.store.readDeadlines(1)).toEqual([]);
});

test("runs leave memory when their steps are many, also those that were never read from the file", async () => {
  const store = createMemoryStore();
  const read: string[] = [];
  const rig = new EngineRig({
    runCacheStepsMax: 10,
    store: {
      ...store,
      findRun(namespace, runId) {
        read.push(runId);
        return store.findRun(namespace, runId);
      },
    },
  });
  const worker = await rig.worker().greeted();
  for (const runId of ["first", "second", "third"]) {
    await rig.started({ runId });
    await rig.settle();
    const { lease } = worker.assignments.at(-1)!;
    for (const key of ["a", "b", "c", "d", "e", "f"]) await worker.op(lease, [completeStep(key)]);
    await worker.op(lease, [{ type: "CompleteRun", output: undefined }]);
  }
  read.length = 0;
  for (const runId of ["third", "first"]) {
    const signal = { name: "late", payload: undefined, requestId: "" };
    await expect(rig.engine.signalRun({ namespace: "default", runId }, signal)).rejects.toMatchObject({
      reason: "RUN_CLOSED",
    });
  }
  expect(read).toEqual(["first"]);
});
