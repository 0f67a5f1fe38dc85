import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import type { Batch, CommitOutcome, Store } from "../../src/store/store.ts";
import { EngineRig } from "../support/engine-rig.ts";
import { completeStep, json } from "../support/given.ts";
import { HeldStore } from "../support/held-store.ts";

const full = { kind: "full", message: "no room" } as const;

function held() {
  const store = new HeldStore();
  return { store, rig: new EngineRig({ store: store.store, runCacheMax: 1, lineWindowMax: 1, deadlineHorizonMax: 1 }) };
}

test("a full disk refuses writes, serves reads, keeps leases, and writing resumes", async () => {
  const { store, rig } = held();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  store.outcome = full;
  expect(await worker.op(lease, [completeStep("a")], { opId: 1 })).toMatchObject({ reason: "DISK_FULL" });
  await expect(rig.start()).rejects.toMatchObject({ reason: "DISK_FULL" });
  expect(rig.engine.status().writer).toBe("full");
  expect(await rig.run(runId)).toMatchObject({ status: "RUNNING", stepsCompleted: 0, lastSeq: 2 });
  worker.beat(lease);
  await rig.settle();
  expect(worker.of("beatAck").at(-1)).toMatchObject({ lost: [] });
  expect(await worker.op(lease, [completeStep("b")], { opId: 2 })).toMatchObject({ reason: "PRECEDING_FAILED" });
  store.outcome = undefined;
  await rig.advanceMs(1_001);
  expect(rig.engine.status().writer).toBe("open");
  expect(await worker.op(lease, [completeStep("a")], { opId: 1 })).toMatchObject({ kind: "applied", already: false });
  expect(await worker.op(lease, [completeStep("b")], { opId: 2 })).toMatchObject({ kind: "applied" });
  expect(await rig.run(runId)).toMatchObject({ stepsCompleted: 2 });
});

test("an op in an epoch that nobody holds, refused for want of room, is not remembered against the holder of the lease", async () => {
  const { store, rig } = held();
  const worker = await rig.worker().greeted();
  await rig.started();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  store.holding = true;
  store.outcome = full;
  const ahead = { ...lease, epoch: lease.epoch + 1 };
  const outcomes = Promise.allSettled([rig.start(), rig.unary(ahead, completeStep("a"), 1)]);
  await rig.settle();
  store.holding = false;
  store.release();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "DISK_FULL" } });
  store.outcome = undefined;
  await rig.advanceMs(1_001);
  expect(await worker.op(lease, [completeStep("b")], { opId: 2 })).toMatchObject({ kind: "applied" });
});

test("what was decided on top of a failed commit is discarded with it", async () => {
  const { store, rig } = held();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  store.holding = true;
  store.outcome = full;
  const outcomes = Promise.allSettled([
    rig.unary(lease, completeStep("a")),
    rig.engine.signalRun({ namespace: "default", runId }, { name: "s", payload: undefined, requestId: "" }),
    rig.start({ runId: "late" }),
  ]);
  await rig.worker().greeted();
  store.holding = false;
  store.release();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "DISK_FULL" } });
  await rig.settle();
  expect(worker.assignments).toHaveLength(1);
  expect(worker.notices).toHaveLength(0);
  store.outcome = undefined;
  await rig.advanceMs(1_001);
  expect(await rig.start({ runId: "late" })).toMatchObject({ kind: "started", already: false });
  expect(await worker.op(lease, [{ type: "CompleteRun", output: json(1) }])).toMatchObject({ kind: "applied" });
});

test("a commit that the store has behind a failed one is discarded with it, and its outcome changes nothing", async () => {
  const store = new HeldStore();
  const rig = new EngineRig({ store: store.store, queuedEventsMin: 1 });
  store.holding = true;
  store.outcome = full;
  const outcomes = [rig.start({ runId: "a" })];
  await rig.settle();
  outcomes.push(rig.start({ runId: "b" }));
  await rig.settle();
  outcomes.push(rig.start({ runId: "c" }));
  await rig.settle();
  store.release();
  for (const outcome of await Promise.allSettled(outcomes))
    expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "DISK_FULL" } });
  expect(store.held, "the one behind it, of which nobody is told anything more").toBe(1);
  store.outcome = undefined;
  store.holding = false;
  store.release();
  await rig.advanceMs(1_001);
  expect(rig.store.readMeta()).toMatchObject({ commitNo: 0, lastRunNo: 0 });
  for (const runId of ["c", "b", "a"]) expect(await rig.start({ runId })).toMatchObject({ kind: "started" });
  expect(rig.store.readMeta().commitNo).toBe(3);
  expect(rig.fatal).toEqual([]);
});

test("a constraint error costs nobody in the commit behind it anything", async () => {
  const store = new HeldStore();
  const rig = new EngineRig({ store: store.store, queuedEventsMin: 1 });
  store.holding = true;
  store.outcome = { kind: "constraint", message: "once" };
  const starts = [rig.start({ runId: "a" })];
  await rig.settle();
  starts.push(rig.start({ runId: "b" }), rig.start({ runId: "a" }));
  await rig.settle();
  expect(store.given, "the second is with the store while the first is under way").toEqual([1, 2]);
  store.release();
  await rig.settle();
  store.outcome = undefined;
  store.holding = false;
  store.release();
  expect(await Promise.all(starts)).toMatchObject([{ kind: "started" }, { kind: "started" }, { reason: "RUN_EXISTS" }]);
  expect(rig.fatal).toEqual([]);
});

/** A store that says of each commit what the test tells it, when it tells it. */
function told() {
  const file = createMemoryStore();
  const waiting: { batch: Batch; end: (outcome: CommitOutcome) => void }[] = [];
  const commit: Store["commit"] = (batch) => new Promise((end) => waiting.push({ batch, end }));
  return { file, waiting, rig: new EngineRig({ store: { ...file, commit }, queuedEventsMin: 1 }) };
}

test("the outcome of a discarded commit is not that of the one that took its number", async () => {
  const { file, waiting, rig } = told();
  const answers: string[] = [];
  const start = (runId: string) => rig.start({ runId }).then(({ kind }) => answers.push(`${runId} ${kind}`));
  const starts = [start("a")];
  await rig.settle();
  starts.push(start("b"));
  await rig.settle();
  waiting[0]!.end({ kind: "constraint", message: "planted" });
  await rig.settle();
  expect(waiting.map(({ batch }) => batch.commitNo)).toEqual([1, 2, 1]);
  // The store comes to the discarded one only now, when "a" is under way again, alone.
  waiting[1]!.end({ kind: "constraint", message: "commit 2 does not follow" });
  await rig.settle();
  expect(answers).toEqual([]);
  for (let at = 2; at < 4; at++) {
    const { batch, end } = waiting[at]!;
    end(await file.commit(batch));
    await rig.settle();
  }
  await Promise.all(starts);
  expect(answers).toEqual(["a started", "b started"]);
  expect(rig.fatal).toEqual([]);
});

test("a failed sync with another commit behind it: nothing of either is spoken of", async () => {
  const store = new HeldStore();
  const rig = new EngineRig({ store: store.store, queuedEventsMin: 1 });
  store.holding = true;
  const answers: string[] = [];
  const start = (runId: string) => void rig.start({ runId }).finally(() => answers.push(runId));
  start("a");
  await rig.settle();
  start("b");
  await rig.settle();
  store.outcome = { kind: "fatal", message: "fsync failed" };
  store.holding = false;
  store.release();
  await rig.settle();
  expect(rig.fatal).toEqual(["fsync failed"]);
  expect(answers).toEqual([]);
});

test("a file that ends elsewhere than where it said is not written on", async () => {
  const file = createMemoryStore();
  let failing = false;
  const commit: Store["commit"] = async (batch) => {
    const outcome = await file.commit(batch);
    return failing ? { kind: "constraint", message: "planted" } : outcome;
  };
  const rig = new EngineRig({ store: { ...file, commit } });
  await rig.started();
  failing = true;
  await expect(rig.start()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
  expect(rig.fatal).toEqual([expect.stringContaining("the file is at commit 2, and 1 was the last")]);
});

const untrusted: [CommitOutcome, string][] = [
  [{ kind: "durable" }, "a commit behind one that failed was written"],
  [{ kind: "fatal", message: "fsync failed" }, "fsync failed"],
];
test.each(untrusted)("a store that says %j of a commit behind a failed one is the end", async (outcome, message) => {
  const { waiting, rig } = told();
  const first = rig.start({ runId: "a" });
  await rig.settle();
  const second = rig.start({ runId: "b" });
  await rig.settle();
  for (const said of [full, outcome]) waiting.shift()!.end(said);
  await expect(first).rejects.toMatchObject({ reason: "DISK_FULL" });
  await expect(second).rejects.toMatchObject({ reason: "DISK_FULL" });
  await rig.settle();
  expect(rig.fatal).toEqual([message]);
});

test("leases that came due while the disk was full end when there is room", async () => {
  const { store, rig } = held();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  store.outcome = full;
  await rig.advanceMs(31_000);
  expect((await rig.run(runId)).status).toBe("RUNNING");
  store.outcome = undefined;
  await rig.advanceMs(3_000);
  expect((await rig.run(runId)).epoch).toBeGreaterThanOrEqual(1);
  expect(await rig.eventTypes(runId)).toContain("LeaseEnded");
  expect(worker.assignments.length).toBeGreaterThanOrEqual(1);
});

test("a constraint error costs its neighbours nothing: each is decided again alone", async () => {
  const store = new HeldStore();
  let broken = 0;
  const commit: Store["commit"] = async (batch) => {
    if (batch.runs.some((row) => row.runId === "bad")) {
      broken += 1;
      return { kind: "constraint", message: "planted" };
    }
    return store.store.commit(batch);
  };
  const rig = new EngineRig({ store: { ...store.store, commit } });
  store.holding = true;
  const first = rig.start({ runId: "one" });
  await rig.settle().catch(() => {});
  store.holding = false;
  store.release();
  const outcomes = await Promise.allSettled([first, ...["two", "bad", "three"].map((runId) => rig.start({ runId }))]);
  expect(outcomes.map((o) => (o.status === "fulfilled" ? o.value.kind : o.reason.reason))).toEqual([
    "started",
    "started",
    "INTERNAL",
    "started",
  ]);
  expect(broken).toBe(2);
  expect(rig.fatal).toEqual([]);
});

test("what was refused on top of a failed commit is answered with it", async () => {
  const { store, rig } = held();
  store.holding = true;
  store.outcome = full;
  const first = rig.start({ runId: "a" });
  await rig.settle();
  const nowhere = { namespace: "default", runId: "nowhere" };
  const second = rig.engine.signalRun(nowhere, { name: "s", payload: undefined, requestId: "" });
  const outcomes = Promise.allSettled([first, second]);
  await rig.settle();
  store.holding = false;
  store.release();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "DISK_FULL" } });
});

test("what waits behind a failed sync is told that the server stops", async () => {
  const { store, rig } = held();
  store.holding = true;
  store.outcome = { kind: "fatal", message: "fsync failed" };
  let answered = false;
  void rig.start({ runId: "a" }).finally(() => {
    answered = true;
  });
  await rig.settle();
  const nowhere = { namespace: "default", runId: "nowhere" };
  const decided = [
    rig.start({ runId: "b" }),
    rig.engine.signalRun(nowhere, { name: "s", payload: undefined, requestId: "" }),
  ];
  const outcomes = Promise.allSettled(decided);
  await rig.settle();
  store.release();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "SHUTTING_DOWN" } });
  expect(rig.fatal).toEqual(["fsync failed"]);
  expect(answered, "what may be in the file is not spoken of").toBe(false);
});

for (const read of ["scanLine", "scanDeadlines"] as const) {
  test(`a file that cannot be read any more when the server decides by itself (${read}) stops everything`, async () => {
    const store = createMemoryStore();
    const whole = store[read] as (options: never) => never;
    let broken = false;
    store[read] = (options: never) => {
      if (broken) throw new Error("database disk image is malformed");
      return whole(options);
    };
    const rig = new EngineRig({ store, runCacheMax: 1, lineWindowMax: 1, deadlineHorizonMax: 1 });
    for (const startDelayMs of [1_000, 1_000, 2_000]) await rig.started({ startDelayMs });
    const worker = await rig.worker().greeted();
    broken = true;
    await rig.advanceMs(3_000);
    expect(rig.fatal).toEqual([expect.stringMatching(/writer could not take its turn: Error: database disk image/)]);
    expect(rig.engine.status().writer).toBe("stopped");
    await expect(rig.start()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
    expect(worker.assignments.length).toBeLessThan(3);
  });
}

test("a failed sync stops everything: no answer is ever given again", async () => {
  const { store, rig } = held();
  store.outcome = { kind: "fatal", message: "fsync failed" };
  let answered = false;
  const start = rig.start().finally(() => {
    answered = true;
  });
  start.catch(() => {});
  await rig.settle().catch(() => {});
  await rig.advanceMs(10_000).catch(() => {});
  expect(rig.fatal).toEqual(["fsync failed"]);
  expect(answered).toBe(false);
  await expect(rig.start()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
});

test("an acquire whose wait is over while its grant is written comes back when that commit fails", async () => {
  const { store, rig } = held();
  const acquired = rig.acquire({ waitMs: 5_000 });
  await rig.settle();
  store.holding = true;
  const started = rig.start().catch((error: { reason: string }) => error.reason);
  await rig.settle();
  await rig.advanceMs(6_000);
  store.outcome = full;
  store.holding = false;
  store.release();
  expect(await started).toBe("DISK_FULL");
  await rig.advanceMs(1_001);
  expect(await acquired).toBeUndefined();
});

test("an acquire that is decided again takes one place among those that wait", async () => {
  const outcomes: (CommitOutcome | undefined)[] = [{ kind: "constraint", message: "once" }];
  const rig = new EngineRig({ store: createMemoryStore({ beforeCommit: async () => outcomes.shift() }) });
  const acquired = rig.acquire({ waitMs: 5_000 });
  const runId = await rig.started({ workflow: "any" });
  expect((await acquired)?.lease.runId).toBe(runId);
  // One that nobody waits for any more must not stand before the others.
  await rig.started({ workflow: "unserved", priority: 0 });
  const worker = await rig.worker({ workflows: ["order"] }).greeted();
  await rig.started();
  await rig.settle();
  expect(worker.assignments).toHaveLength(1);
});

test("an engine that is told to stop stops also when its last commit fails", async () => {
  const { store, rig } = held();
  store.holding = true;
  void rig.start();
  await rig.settle();
  const stopped = rig.engine.stop();
  store.outcome = { kind: "fatal", message: "the disk is gone" };
  store.release();
  await stopped;
  expect(rig.fatal).toEqual(["the disk is gone"]);
});
