import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import type { Batch } from "../../src/store/store.ts";
import { EngineRig } from "../support/engine-rig.ts";
import { completeStep, json } from "../support/given.ts";

test("a run goes from start to push to completion, each with one commit", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  expect(worker.of("welcome")).toHaveLength(1);
  const runId = await rig.started({ input: json({ n: 1 }) });
  await rig.settle();
  expect(rig.store.readMeta().commitNo).toBe(1);
  const [assignment] = worker.assignments;
  expect(assignment).toMatchObject({ workflow: "order", input: json({ n: 1 }), journal: [], journalThrough: 2 });
  const lease = assignment!.lease;
  worker.accept(lease);
  expect(await worker.op(lease, [completeStep("a")])).toMatchObject({ kind: "applied", already: false });
  expect(await rig.run(runId)).toMatchObject({ status: "RUNNING", stepsCompleted: 1, lastSeq: 3 });
  expect(await worker.op(lease, [{ type: "CompleteRun", output: json("done") }])).toMatchObject({ kind: "applied" });
  expect(await rig.run(runId)).toMatchObject({ status: "COMPLETED", output: json("done"), stepsCompleted: 1 });
  expect(await rig.eventTypes(runId)).toEqual([
    "RunCreated",
    "LeaseGranted",
    "StepCompleted",
    "LeaseEnded",
    "RunCompleted",
  ]);
  expect(rig.engine.status().leases).toBe(0);
});

test("an expired lease goes to the next worker, with the journal; the first is told", async () => {
  const rig = new EngineRig();
  const first = await rig.worker({ capacity: 1 }).greeted();
  const runId = await rig.started();
  await rig.settle();
  const lease = first.assignments[0]!.lease;
  await first.op(lease, [completeStep("a", 7)]);
  const second = await rig.worker().greeted();
  // The first still lives, but speaks of its lease no more.
  for (const ms of [14_500, 14_500, 1_100]) {
    expect(second.assignments).toHaveLength(0);
    for (const worker of [first, second]) worker.handle.pong(1);
    await rig.advanceMs(ms);
  }
  expect(first.of("revoke")).toMatchObject([{ lost: { leaseId: lease.leaseId, reason: "EXPIRED" } }]);
  const again = [...first.assignments.slice(1), ...second.assignments];
  expect(again).toHaveLength(1);
  expect(again[0]).toMatchObject({ journal: [{ stepKey: "a", kind: "completed", output: json(7) }], deliveries: 1 });
  expect(await first.op(lease, [completeStep("b")])).toMatchObject({ kind: "refused", reason: "LEASE_LOST" });
  expect((await rig.run(runId)).epoch).toBe(2);
});

test("beats keep a lease; a detached session keeps its leases to their TTL", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  await rig.started();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  for (let i = 0; i < 10; i++) {
    worker.beat(lease);
    await rig.advanceMs(10_000);
  }
  expect(worker.of("beatAck").at(-1)).toMatchObject({ lost: [] });
  worker.handle.closed();
  const resumed = rig.worker({ ...worker.hello, held: [{ lease, noticesSeen: 0, lastRefusedOpId: 0 }] });
  await resumed.greeted();
  expect(resumed.of("welcome")[0]?.verdicts).toMatchObject([{ leaseId: lease.leaseId, kept: true }]);
  expect(await resumed.op(lease, [{ type: "CompleteRun", output: undefined }])).toMatchObject({ kind: "applied" });
});

test("signals reach the holder as notices, wake a waiter, and are consumed once", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  const suspend = { type: "SuspendRun", awaits: [{ kind: "signal", name: "go" }], noticesSeen: 2 } as const;
  await worker.op(lease, [suspend]);
  expect((await rig.run(runId)).status).toBe("WAITING");
  const ref = { namespace: "default", runId };
  await rig.engine.signalRun(ref, { name: "go", payload: json(1), requestId: "" });
  await rig.settle();
  const next = worker.assignments[1]!;
  expect(next.openSignals).toMatchObject([{ name: "go", payload: json(1) }]);
  await rig.engine.signalRun(ref, { name: "go", payload: json(2), requestId: "" });
  await rig.settle();
  expect(worker.notices).toMatchObject([{ what: { kind: "signal", signal: { payload: json(2) } } }]);
  const consumed = await worker.op(next.lease, [{ type: "ConsumeSignal", stepKey: "w", name: "go" }]);
  expect(consumed).toMatchObject({ notes: [{ kind: "signal", payload: json(1) }] });
  expect(await rig.engine.explainRun(ref)).toMatchObject({ openSignals: 1 });
  expect(await worker.op(next.lease, [{ ...suspend, noticesSeen: 0 }])).toMatchObject({ reason: "NOTICES_PENDING" });
});

test("a wait that a suspend named has its signal in the journal of the grant that the signal brings", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  const awaits = [{ kind: "signal", name: "go", stepKey: "w" }] as const;
  await worker.op(worker.assignments[0]!.lease, [{ type: "SuspendRun", awaits, noticesSeen: 2 }]);
  const ref = { namespace: "default", runId };
  const before = rig.store.readMeta().commitNo;
  await rig.engine.signalRun(ref, { name: "go", payload: json(1), requestId: "" });
  await rig.settle();
  expect(rig.store.readMeta().commitNo).toBe(before + 1);
  const next = worker.assignments[1]!;
  expect(next.journal).toEqual([{ stepKey: "w", kind: "signal", signalSeq: 5, name: "go", payload: json(1) }]);
  expect(next.openSignals).toEqual([]);
  expect(worker.notices).toEqual([]);
  expect((await rig.engine.listSignals(ref, { limit: 10, onlyOpen: false, afterSeq: 0 })).items).toMatchObject([
    { seq: 5, consumedBy: "w", open: false },
  ]);
});

test("a sleeping run wakes by its timer", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  await rig.started();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  await worker.op(lease, [
    { type: "SetTimer", stepKey: "nap", delayMs: 20_000, signalName: "" },
    { type: "SuspendRun", awaits: [{ kind: "timer", stepKey: "nap" }], noticesSeen: 2 },
  ]);
  await rig.advanceMs(19_000);
  worker.handle.pong(1);
  expect(worker.assignments).toHaveLength(1);
  await rig.advanceMs(1_001);
  expect(worker.assignments[1]).toMatchObject({ journal: [{ stepKey: "nap", kind: "timerFired" }] });
});

test("a run that starts later waits in the deadline index", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  await rig.started({ startDelayMs: 5_000 });
  await rig.advanceMs(4_900);
  expect(worker.assignments).toHaveLength(0);
  await rig.advanceMs(200);
  expect(worker.assignments).toHaveLength(1);
});

test("cancel is pushed, its deadline closes the run", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  await rig.engine.cancelRun({ namespace: "default", runId }, { reason: "no", graceMs: 1_000 });
  await rig.settle();
  expect(worker.notices).toMatchObject([{ what: { kind: "cancel", reason: "no", graceMs: 1_000 } }]);
  await rig.advanceMs(1_001);
  expect((await rig.run(runId)).status).toBe("CANCELLED");
  expect(worker.of("revoke")).toHaveLength(1);
});

test("acquire, renew, release and complete as single calls", async () => {
  const rig = new EngineRig();
  expect(await rig.acquire()).toBeUndefined();
  const runId = await rig.started();
  const got = await rig.acquire({ requestId: "q" });
  expect(got?.lease.runId).toBe(runId);
  expect((await rig.acquire({ requestId: "q" }))?.lease).toEqual(got?.lease);
  await rig.engine.renewLease({ namespace: "default", lease: got!.lease, leaseTtlMs: 120_000 });
  await rig.advanceMs(100_000);
  await rig.unary(got!.lease, completeStep("a"));
  expect((await rig.unary(got!.lease, completeStep("a"))).applied.already).toBe(true);
  await expect(rig.unary(got!.lease, completeStep("a", "other"))).rejects.toMatchObject({ reason: "STEP_COMPLETED" });
  await rig.engine.releaseLease({ namespace: "default", lease: got!.lease, retryAfterMs: 0 });
  await expect(rig.unary(got!.lease, completeStep("b"))).rejects.toMatchObject({ reason: "LEASE_LOST" });
  const waiting = rig.acquire({ waitMs: 1_000, requestId: "z" });
  expect((await waiting)?.journal).toMatchObject([{ stepKey: "a" }]);
  const none = rig.acquire({ waitMs: 1_000 });
  await rig.advanceMs(1_001);
  expect(await none).toBeUndefined();
});

test("ids and keys are taken once", async () => {
  const rig = new EngineRig();
  expect(await rig.start({ runId: "a", requestId: "q" })).toMatchObject({ already: false });
  expect(await rig.start({ runId: "a", requestId: "q" })).toMatchObject({ already: true });
  expect(await rig.start({ runId: "a" })).toMatchObject({ reason: "RUN_EXISTS" });
  expect(await rig.start({ runId: "b", runKey: "k" })).toMatchObject({ kind: "started" });
  expect(await rig.start({ runId: "c", runKey: "k" })).toMatchObject({ reason: "RUN_KEY_TAKEN", runId: "b" });
  await rig.engine.terminateRun({ namespace: "default", runId: "b" }, { reason: "" });
  expect(await rig.start({ runId: "c", runKey: "k" })).toMatchObject({ kind: "started" });
});

test("a repeated RetryRun is known, also while another run holds its key", async () => {
  const rig = new EngineRig();
  const runId = await rig.started({ runKey: "k" });
  const ref = { namespace: "default", runId };
  const fail = async () => {
    const got = await rig.acquire();
    await rig.unary(got!.lease, { type: "FailRun", failure: { type: "Fatal", message: "m" }, failedSteps: [] });
  };
  await fail();
  await rig.engine.retryRun(ref, { reason: "", requestId: "q" });
  await fail();
  await rig.started({ runKey: "k" });
  expect(await rig.engine.retryRun(ref, { reason: "", requestId: "q" })).toMatchObject({ status: "FAILED" });
  const another = rig.engine.retryRun(ref, { reason: "", requestId: "r" });
  await expect(another).rejects.toMatchObject({ reason: "RUN_KEY_TAKEN" });
});

test("a drain sends whoever waits for a run away, also who comes later: the run has not ended", async () => {
  const rig = new EngineRig();
  const ref = { namespace: "default", runId: await rig.started() };
  const { signal } = new AbortController();
  const watchToEnd = async (): Promise<void> => {
    for await (const _ of rig.engine.watchRun(ref, { afterSeq: 0, signal }));
  };
  const wait = () => rig.engine.waitRun(ref, { timeoutMs: 60_000, signal });
  const early = Promise.allSettled([wait(), watchToEnd()]);
  await rig.settle();
  rig.engine.drain();
  const all = [...(await early), ...(await Promise.allSettled([wait(), watchToEnd()]))];
  const away = { status: "rejected", reason: { refusal: { reason: "SHUTTING_DOWN" } } };
  expect(all).toMatchObject([away, away, away, away]);
});

test("a drain ends the stream of who holds nothing at once, and of a holder behind the answer to its last op", async () => {
  const rig = new EngineRig();
  const idle = await rig.worker({ queues: ["empty"] }).greeted();
  const holder = await rig.worker().greeted();
  for (const runId of ["a", "b"]) await rig.started({ runId });
  await rig.settle();
  const [first, second] = holder.assignments.map(({ lease }) => lease);
  holder.accept(first!, second!);
  const greeting = rig.worker({ queues: ["empty"] });
  greeting.handle.hello(greeting.hello);
  rig.engine.drain();
  await rig.settle();
  for (const { frames } of [idle, greeting]) {
    expect(frames.at(-1)).toMatchObject({ kind: "goAway", reason: "SHUTDOWN" });
  }
  expect([idle.ended, greeting.ended, holder.ended]).toEqual([true, true, false]);
  const complete = { type: "CompleteRun", output: undefined } as const;
  expect(await holder.op(first!, [complete])).toMatchObject({ kind: "applied" });
  expect(holder.ended).toBe(false);
  expect(await holder.op(second!, [complete])).toMatchObject({ kind: "applied" });
  expect(holder.ended).toBe(true);
});

test("a start writes its event and its row, and no deadline that it does not have", async () => {
  const store = createMemoryStore();
  const batches: Batch[] = [];
  const rig = new EngineRig({
    store: {
      ...store,
      commit(batch) {
        batches.push(batch);
        return store.commit(batch);
      },
    },
  });
  await rig.started();
  expect(batches).toMatchObject([{ events: { length: 1 }, runs: { length: 1 }, deadlines: [] }]);
  await rig.started({ startDelayMs: 5_000 });
  expect(batches[1]?.deadlines).toMatchObject([{ op: "put", kind: "available" }]);
});

test("an op of an earlier epoch is known from the file: its result again, a conflict with other content", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker({ capacity: 1 }).greeted();
  await rig.started();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  await worker.op(lease, [completeStep("a", 1)], { opId: 1 });
  worker.handle.release([lease], 0);
  await rig.settle();
  expect(worker.assignments[1]?.lease.epoch).toBe(2);
  const again = (output: number, more: { opId: number; leaseId?: string }) =>
    worker.op({ ...lease, leaseId: more.leaseId ?? lease.leaseId }, [completeStep("a", output)], more);
  expect(await again(1, { opId: 1 })).toMatchObject({ kind: "applied", already: true, lastSeq: 3 });
  expect(await again(2, { opId: 1 })).toMatchObject({ reason: "OP_CONFLICT" });
  expect(await again(1, { opId: 2 })).toMatchObject({ reason: "LEASE_LOST" });
  expect(await again(1, { opId: 1, leaseId: "0".repeat(32) })).toMatchObject({ reason: "LEASE_LOST" });
});

test("a worker without a stream learns of a cancel however long and large its lease has grown", async () => {
  const rig = new EngineRig();
  const runId = await rig.started();
  const { lease } = (await rig.acquire())!;
  for (let step = 0; step < 1_100; step++) await rig.unary(lease, completeStep(`s${step}`));
  const large = { data: "x".repeat(1_500_000), encoding: "" };
  for (let sent = 0; sent < 3; sent++) {
    await rig.engine.signalRun({ namespace: "default", runId }, { name: "s", payload: large, requestId: "" });
  }
  await rig.engine.cancelRun({ namespace: "default", runId }, { reason: "", graceMs: 60_000 });
  const { notices } = await rig.unary(lease, completeStep("last"));
  expect(notices.map(({ what }) => what.kind)).toEqual(["signal", "cancel"]);
  expect((await rig.engine.renewLease({ namespace: "default", lease, leaseTtlMs: 0 })).notices).toEqual(notices);
});

test("the more urgent run goes first, and one that has waited a minute longer for each step of priority", async () => {
  const rig = new EngineRig();
  const order: string[] = [];
  const start = async (runId: string, priority: number) => rig.started({ runId, priority, workflow: `of ${priority}` });
  await start("patient", 9);
  await rig.advanceMs(10_000);
  await start("usual", 5);
  await start("urgent", 0);
  await rig.advanceMs(9 * 60_000 - 5_000);
  await start("urgent too late", 0);
  for (let taken = 0; taken < 4; taken++) {
    const got = await rig.acquire();
    order.push(got!.lease.runId);
    await rig.unary(got!.lease, { type: "CompleteRun", output: undefined });
  }
  expect(order).toEqual(["urgent", "usual", "patient", "urgent too late"]);
});
