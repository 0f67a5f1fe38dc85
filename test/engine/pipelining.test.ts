import { setImmediate as immediate } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { silentLog } from "../../src/engine/telemetry.ts";
import { EngineRig, startRequest } from "../support/engine-rig.ts";
import { completeStep, json } from "../support/given.ts";
import { HeldStore } from "../support/held-store.ts";

// Decided state runs ahead of the file. These tests hold the commit open and ask what may be seen meanwhile. The races
// are run with the usual windows into the file and with every window as small as one.

const tiny = { runCacheMax: 1, lineWindowMax: 1, deadlineHorizonMax: 1 };
const windows = [
  { name: "usual windows", sizes: {} },
  { name: "windows of one", sizes: tiny },
  { name: "windows of one, two commits at once", sizes: { ...tiny, queuedEventsMin: 1 } },
];

// Whatever is decided wrongly, the constraints of the file refuse, and then it is decided again: the answers are right in
// the end. So no commit may have been refused.
let errors: string[] = [];
afterEach(() => {
  const found = errors;
  errors = [];
  expect(found.slice(0, 10)).toEqual([]);
});
const log = { ...silentLog, error: (_fields: object, message: string) => void errors.push(message) };

function held(sizes: ConstructorParameters<typeof EngineRig>[0] = tiny) {
  const store = new HeldStore();
  return { store, rig: new EngineRig({ store: store.store, log, ...sizes }) };
}
async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) await immediate();
}

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

test("what has grown as large as the commit under way is given to the store behind it, and no third", async () => {
  const { store, rig } = held({});
  store.holding = true;
  const answers: string[] = [];
  const start = (runId: string) => rig.start({ runId }).then((outcome) => answers.push(`${runId} ${outcome.kind}`));
  const startAll = (name: string, count: number) => Array.from({ length: count }, (_, i) => start(`${name}${i}`));
  const starts = startAll("a", 40);
  await turns();
  expect(store.given).toEqual([1]);
  starts.push(...startAll("b", 39));
  await turns();
  expect(store.given, "39 behind 40 go on gathering").toEqual([1]);
  starts.push(start("b39"), start("a0"));
  await turns();
  expect(store.given).toEqual([1, 2]);
  starts.push(...startAll("c", 90));
  await turns();
  expect(store.given, "two are enough").toEqual([1, 2]);
  expect(answers).toEqual([]);
  await rig.advanceMs(8);
  store.release();
  await turns();
  expect(answers).toHaveLength(40);
  expect(store.given, "the third takes the place of the first").toEqual([1, 2, 3]);
  starts.push(start("d0"));
  await turns();
  await rig.advanceMs(8);
  store.release();
  await turns();
  expect(store.given, "one start is not enough").toEqual([1, 2, 3]);
  starts.push(...startAll("e", 90));
  await turns();
  expect(store.given, "each commit took 8 ms: the disk is not slow").toEqual([1, 2, 3, 4]);
  store.holding = false;
  store.release();
  await Promise.all(starts);
  expect(answers.slice(40, 82)).toEqual([
    ...Array.from({ length: 40 }, (_, i) => `b${i} started`),
    "a0 refused",
    "c0 started",
  ]);
});

test("few events do not wait behind a commit of fewer, and none behind one on a slow disk", async () => {
  const { store, rig } = held({});
  store.holding = true;
  const starts = [rig.start()];
  await turns();
  starts.push(...Array.from({ length: 31 }, () => rig.start()));
  await turns();
  expect(store.given).toEqual([1]);
  store.release();
  await turns();
  expect(store.given).toEqual([1, 2]);
  await rig.advanceMs(50);
  store.release();
  await turns();
  starts.push(rig.start());
  await turns();
  expect(store.given).toEqual([1, 2, 3]);
  starts.push(...Array.from({ length: 50 }, () => rig.start()));
  await turns();
  expect(store.given).toEqual([1, 2, 3]);
  store.holding = false;
  store.release();
  await Promise.all(starts);
});

test("an idle disk gets the first of two large calls while the second is decided, a slow one gets both", async () => {
  const { store, rig } = held({});
  const call = () => rig.engine.startRuns(Array.from({ length: 64 }, () => startRequest()));
  await Promise.all([call(), call()]);
  expect(rig.store.readMeta().commitNo).toBe(2);
  store.holding = true;
  const slow = rig.start();
  await turns();
  await rig.advanceMs(50);
  store.holding = false;
  store.release();
  await slow;
  expect(rig.store.readMeta().commitNo).toBe(3);
  await Promise.all([call(), call()]);
  expect(rig.store.readMeta().commitNo).toBe(4);
});

test("behind a commit on a slow disk what came meanwhile waits for what its answers bring", async () => {
  const { store, rig } = held({});
  store.holding = true;
  const starts: Promise<unknown>[] = [];
  const start = (count: number) => starts.push(...Array.from({ length: count }, () => rig.start()));
  const endCommit = async (ms: number) => {
    await rig.advanceMs(ms);
    store.release();
    await turns();
  };
  start(2);
  await turns();
  start(1);
  await endCommit(50);
  expect(store.given, "one waits for two").toEqual([1]);
  start(1);
  await turns();
  expect(store.given).toEqual([1]);
  start(1);
  await turns();
  expect(store.given, "all three are there").toEqual([1, 2]);
  start(1);
  await endCommit(50);
  await rig.advanceMs(9);
  expect(store.given).toEqual([1, 2]);
  await rig.advanceMs(1);
  expect(store.given, "a fifth of the commit has passed").toEqual([1, 2, 3]);
  start(1);
  await endCommit(10_000);
  await rig.advanceMs(24);
  expect(store.given).toEqual([1, 2, 3]);
  await rig.advanceMs(1);
  expect(store.given, "never more than 25 ms").toEqual([1, 2, 3, 4]);
  await endCommit(50);
  start(1);
  await turns();
  expect(store.given, "nothing came meanwhile: nobody is to wait").toEqual([1, 2, 3, 4, 5]);
  start(1);
  await endCommit(50);
  expect(store.given).toEqual([1, 2, 3, 4, 5]);
  // Who stops the engine now waits for what is delayed.
  store.holding = false;
  const stopped = rig.engine.stop();
  await turns();
  expect(rig.store.readMeta().commitNo).toBe(5);
  await rig.advanceMs(10);
  await Promise.all([...starts, stopped]);
  expect(rig.store.readMeta().commitNo).toBe(6);
});

test("what the server adds to a commit by itself is not waited for", async () => {
  const { store, rig } = held({});
  await rig.worker({ capacity: 10 }).greeted();
  store.holding = true;
  const starts = [rig.start(), rig.start()];
  await turns();
  starts.push(rig.start());
  await rig.advanceMs(50);
  store.release();
  await turns();
  // Two starts and their two grants are in the file; three starts are all that can be asked for again.
  starts.push(rig.start(), rig.start());
  await turns();
  expect(store.given).toEqual([1, 2]);
  store.holding = false;
  store.release();
  await Promise.all(starts);
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
