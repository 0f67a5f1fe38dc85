import { setImmediate as immediate } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { EngineRig } from "../support/engine-rig.ts";
import { completeStep, json } from "../support/given.ts";
import { createHeld, expectNoErrors, type HeldOptions, turns } from "../support/held-engine.ts";
import { HeldStore } from "../support/held-store.ts";

// Decided state runs ahead of the file. These tests hold the commit open and ask what may be seen meanwhile. The races
// are run with the usual windows into the file and with every window as small as one.

const tiny = { runCacheMax: 1, lineWindowMax: 1, deadlineHorizonMax: 1 };
const windows = [
  { name: "usual windows", sizes: {} },
  { name: "windows of one", sizes: tiny },
  { name: "windows of one, two commits at once", sizes: { ...tiny, queuedEventsMin: 1 } },
];

afterEach(expectNoErrors);

const held = (sizes: HeldOptions = tiny) => createHeld(sizes);

test("nothing is answered before its commit is durable, refusals included", async () => {
  const { store, rig } = held();
  store.holding = true;
  const answers: string[] = [];
  const first = rig.start({ runId: "a" }).then(() => answers.push("started"));
  await turns();
  const second = rig.start({ runId: "a" }).then((outcome) => answers.push(outcome.kind));
  await turns();
  expect(answers).toEqual([]);
  expect(store.held).toBe(1);
  store.release();
  await Promise.all([first, second]);
  expect(answers).toEqual(["started", "refused"]);
});

test("what came during a commit goes into the next one together", async () => {
  const { store, rig } = held();
  store.holding = true;
  const starts = [rig.start()];
  await turns();
  for (let i = 0; i < 100; i++) starts.push(rig.start());
  await turns();
  expect(store.held).toBe(1);
  store.holding = false;
  store.release();
  await Promise.all(starts);
  expect(rig.store.readMeta().commitNo).toBe(2);
});

test("the file is asked for the id of a start that the caller chose, not for one that was just made", async () => {
  const { store } = new HeldStore();
  const asked: string[] = [];
  const findRun = (namespace: string, runId: string) => {
    asked.push(runId);
    return store.findRun(namespace, runId);
  };
  const rig = new EngineRig({ store: { ...store, findRun } });
  await rig.started();
  await rig.started({ runId: "chosen" });
  expect(asked).toEqual(["chosen"]);
});

test("a grant is pushed only when it is durable", async () => {
  const { store, rig } = held();
  const worker = await rig.worker().greeted();
  store.holding = true;
  void rig.start();
  await turns();
  expect(worker.assignments).toHaveLength(0);
  store.release();
  await rig.settle();
  expect(worker.assignments).toHaveLength(1);
});

test.each(windows)(
  "two starts with one id, raced 10,000 times with the commit held open: one winner ($name)",
  async ({ sizes }) => {
    const { store, rig } = held(sizes);
    for (let round = 0; round < 10_000; round++) {
      store.holding = true;
      const runId = `r${round}`;
      const racers = [rig.start({ runId, runKey: "key" })];
      if (round % 2 === 0) await immediate();
      racers.push(rig.start({ runId }), rig.start({ runKey: "key" }));
      await immediate();
      store.holding = false;
      store.release();
      const outcomes = await Promise.all(racers);
      expect(outcomes.map((o) => (o.kind === "refused" ? o.reason : o.kind))).toEqual([
        "started",
        "RUN_EXISTS",
        "RUN_KEY_TAKEN",
      ]);
      await rig.engine.terminateRun({ namespace: "default", runId }, { reason: "" });
    }
  },
  120_000,
);

test.each(windows)(
  "two consumers of one signal, raced 10,000 times with the commit held open: one winner ($name)",
  async ({ sizes }) => {
    const { store, rig } = held(sizes);
    const worker = await rig.worker({ capacity: 1 }).greeted();
    const runId = await rig.started();
    await rig.settle();
    const { lease } = worker.assignments[0]!;
    for (let round = 0; round < 10_000; round++) {
      store.holding = true;
      const signalled = rig.engine.signalRun(
        { namespace: "default", runId },
        { name: "s", payload: json(round), requestId: "" },
      );
      if (round % 2 === 0) await immediate();
      const racers = [`a${round}`, `b${round}`].map((stepKey) =>
        rig.unary(lease, { type: "ConsumeSignal", stepKey, name: "s" }).then(
          ({ applied }) => applied.notes[0],
          (error) => error.reason,
        ),
      );
      await immediate();
      store.holding = false;
      store.release();
      await signalled;
      expect(await Promise.all(racers)).toMatchObject([{ kind: "signal", payload: json(round) }, "NO_SIGNAL"]);
    }
  },
  120_000,
);

test.each(windows)(
  "a line is refilled while a commit is open, 10,000 runs: each is granted once, in order ($name)",
  async ({ sizes }) => {
    const { store, rig } = held(sizes);
    const granted: string[] = [];
    for (let round = 0; round < 2_500; round++) {
      store.holding = true;
      const starts = [0, 1, 2, 3].map((i) => rig.start({ runId: `q${round}-${i}` }));
      if (round % 2 === 0) await immediate();
      const acquires = [0, 1, 2, 3].map((i) => rig.acquire({ workerId: `w${i}` }));
      await immediate();
      store.release();
      await immediate();
      store.holding = false;
      store.release();
      await Promise.all(starts);
      for (const assignment of await Promise.all(acquires)) {
        if (assignment === undefined) throw new Error("an acquire came back empty");
        granted.push(assignment.lease.runId);
        await rig.unary(assignment.lease, { type: "CompleteRun", output: undefined });
      }
    }
    expect(new Set(granted).size).toBe(10_000);
    expect(granted.length).toBe(10_000);
  },
  120_000,
);

test("a run that is decided and not durable stays in memory when an earlier commit ends", async () => {
  const { store, rig } = held();
  store.holding = true;
  const before = rig.start();
  await turns();
  const start = rig.start({ runId: "a" });
  const younger = [rig.start(), rig.start()];
  await turns();
  // The first commit ends, the second begins: now the cache is looked through.
  store.release();
  await before;
  expect(store.held).toBe(1);
  const again = rig.start({ runId: "a" });
  const signalled = rig.engine.signalRun(
    { namespace: "default", runId: "a" },
    { name: "s", payload: undefined, requestId: "" },
  );
  await turns();
  store.holding = false;
  store.release();
  expect(await start).toMatchObject({ kind: "started" });
  await Promise.all(younger);
  expect(await again).toMatchObject({ reason: "RUN_EXISTS" });
  expect(await signalled).toEqual({ signalSeq: 2, already: false });
});

test("a run that was evicted is read with everything that was decided", async () => {
  const { rig } = held();
  const ids = await Promise.all(Array.from({ length: 20 }, (_, i) => rig.started({ runId: `e${i}` })));
  for (const runId of ids) {
    const assignment = await rig.acquire();
    await rig.unary(assignment!.lease, completeStep("a"));
    await rig.engine.releaseLease({ namespace: "default", lease: assignment!.lease, retryAfterMs: 60_000 });
    expect(assignment!.lease.runId).toBe(runId);
  }
  await rig.advanceMs(60_001);
  for (const runId of ids) {
    const assignment = await rig.acquire();
    expect(assignment).toMatchObject({ lease: { runId }, journal: [{ stepKey: "a", kind: "completed" }] });
  }
});

test("a wait that begins while the end of the run is being written ends with it", async () => {
  const { store, rig } = held();
  await rig.started({ runId: "w" });
  const assignment = await rig.acquire();
  store.holding = true;
  const ended = rig.unary(assignment!.lease, { type: "CompleteRun", output: undefined });
  await turns();
  expect(store.held).toBe(1);
  const ref = { namespace: "default", runId: "w" };
  const waited = rig.engine.waitRun(ref, { timeoutMs: 60_000, signal: new AbortController().signal });
  await turns();
  store.release();
  await ended;
  // Virtual time stands still: only the durable feed can end the wait.
  expect(await waited).toMatchObject({ run: { status: "COMPLETED" }, timedOut: false });
});

test("nothing is told before Welcome, and the notices behind it come in their order", async () => {
  const { store, rig } = held();
  const worker = await rig.worker().greeted();
  await rig.started({ runId: "a" });
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  worker.accept(lease);
  worker.handle.closed();
  const ref = { namespace: "default", runId: "a" };
  const signal = (name: string) => rig.engine.signalRun(ref, { name, payload: undefined, requestId: name });
  // One comes while the worker is away, one is being committed when it says Hello.
  await signal("first");
  store.holding = true;
  const second = signal("second");
  await turns();
  const again = rig.worker({ ...worker.hello, held: [{ lease, noticesSeen: 0, lastRefusedOpId: 0 }] });
  again.handle.hello(again.hello);
  await turns();
  store.release();
  store.holding = false;
  await second;
  await rig.settle();
  expect(again.frames[0]?.kind).toBe("welcome");
  const seqs = again.notices.map(({ seq }) => seq);
  expect(new Set(seqs).size).toBe(2);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
});
