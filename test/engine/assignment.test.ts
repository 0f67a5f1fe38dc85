import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import { UnreadableFileError } from "../../src/store/store.ts";
import { EngineRig, type RigWorker, startRequest } from "../support/engine-rig.ts";
import { completeStep, json } from "../support/given.ts";
import { HeldStore } from "../support/held-store.ts";

// What a worker gets with a grant, however long the history and however large what is in it.

const MiB = 1024 * 1024;
const large = (bytes: number) => ({ data: "x".repeat(bytes), encoding: "" });

/** A run with a history of more than one page, and open signals at its end. */
async function longRun(rig: EngineRig, worker: RigWorker, signals: number): Promise<string> {
  const runId = await rig.started();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  worker.accept(lease);
  for (let op = 1; op <= 1_200; op++) {
    worker.handle.op({ opId: op, lease, changes: [completeStep(`s${op}`)], afterRefused: 0 });
  }
  await rig.settle();
  await signal(rig, runId, signals);
  worker.handle.drain();
  worker.handle.release([lease], 0);
  await rig.settle();
  return runId;
}
async function signal(rig: EngineRig, runId: string, count: number, payload = json(1)): Promise<void> {
  const ref = { namespace: "default", runId };
  for (let i = 0; i < count; i++) await rig.engine.signalRun(ref, { name: "go", payload, requestId: "" });
}

test("the open signals of a long history are in the assignment, on a stream and in a single call", async () => {
  const rig = new EngineRig();
  await longRun(rig, await rig.worker().greeted(), 2);
  const got = await rig.acquire();
  expect([got?.journal.length, got?.openSignals.length, got?.journalContinues]).toEqual([1_200, 2, false]);
  await rig.engine.releaseLease({ namespace: "default", lease: got!.lease, retryAfterMs: 0 });
  const next = await rig.worker().greeted();
  await rig.settle();
  const [assignment] = next.assignments;
  expect(assignment).toMatchObject({ journalContinues: true, openSignals: [{ name: "go" }, { name: "go" }] });
  expect(assignment!.journal.length + next.of("journalChunk").flatMap(({ journal }) => journal).length).toBe(1_200);
  expect(next.of("journalChunk").at(-1)?.continues).toBe(false);
});

test("signals that an assignment cannot carry follow as notices, each once, also over a cut stream", async () => {
  const rig = new EngineRig();
  const runId = await rig.started();
  await signal(rig, runId, 6, large(MiB + 1));
  const worker = await rig.worker().greeted();
  await rig.settle();
  const [assignment] = worker.assignments;
  expect(worker.ended).toBe(false);
  expect(assignment!.openSignals).toEqual([]);
  expect(worker.notices.map(({ seq }) => seq)).toEqual([2, 3, 4, 5, 6, 7]);
  expect(assignment!.journalThrough).toBe(1);
  // The first two were seen; one of those behind is taken before the stream is cut.
  await worker.op(assignment!.lease, [{ type: "ConsumeSignal", stepKey: "w", name: "go" }]);
  worker.handle.closed();
  const held = [{ lease: assignment!.lease, noticesSeen: 1, lastRefusedOpId: 0 }];
  const again = await rig.worker({ ...worker.hello, held }).greeted();
  await rig.settle();
  expect(again.notices.map(({ seq }) => seq)).toEqual([3, 4, 5, 6, 7]);
});

test("large inputs are handed over as fast as they are read: nobody is cut off, nothing goes back", async () => {
  const rig = new EngineRig();
  const worker = rig.worker({ capacity: 100 });
  worker.reading = false;
  await worker.greeted();
  await rig.engine.startRuns(Array.from({ length: 100 }, () => startRequest({ input: large(MiB) })));
  await rig.settle();
  expect(worker.ended).toBe(false);
  worker.resumeReading();
  await rig.settle();
  expect(worker.assignments).toHaveLength(100);
  expect(new Set(worker.assignments.map(({ lease }) => lease.runId)).size).toBe(100);
  expect(worker.assignments.every(({ input }) => input?.data.length === MiB)).toBe(true);
  expect(rig.engine.status().counters).toMatchObject({ slowConsumers: 0, undelivered: 0 });
});

test("notices wait for their stream in the file, and come in order behind the assignment", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  worker.accept(worker.assignments[0]!.lease);
  worker.reading = false;
  await signal(rig, runId, 50, large(MiB));
  expect(worker.ended).toBe(false);
  worker.resumeReading();
  await rig.settle();
  expect(worker.notices.map(({ seq }) => seq)).toEqual(Array.from({ length: 50 }, (_, index) => index + 3));
});

test("an offer that waits unread for its whole TTL was never delivered", async () => {
  const rig = new EngineRig({ leaseTtlMs: 6_000 });
  const worker = await rig.worker().greeted();
  worker.reading = false;
  const runId = await rig.started();
  await rig.advanceMs(6_001);
  const { items } = await rig.engine.history({ namespace: "default", runId }, { afterSeq: 0, limit: 10 });
  expect(items[2]).toMatchObject({ type: "LeaseEnded", detail: { reason: "UNDELIVERED", uncounted: true } });
});

test("what waits for a slow stream is read from the file in its turn", async () => {
  const store = createMemoryStore();
  let reads = 0;
  const readEvents: typeof store.readEvents = (...read) => {
    reads += 1;
    return store.readEvents(...read);
  };
  const rig = new EngineRig({ store: { ...store, readEvents } });
  const worker = rig.worker({ capacity: 12 });
  worker.reading = false;
  await worker.greeted();
  await rig.engine.startRuns(Array.from({ length: 12 }, () => startRequest({ input: large(MiB) })));
  await rig.settle();
  expect(reads).toBe(0);
  worker.resumeReading();
  await rig.settle();
  expect(worker.assignments).toHaveLength(12);
  // The first fills the stream.
  expect(reads).toBe(11);
});

/** A run that was suspended behind a result and whose signal is being committed; which events are read from then on. */
async function woken({ steps = 1, output = 7 as unknown, unreadable = false } = {}) {
  const held = new HeldStore();
  const reads: string[] = [];
  const readEvents: typeof held.store.readEvents = (runNo, page) => {
    reads.push(`${page.afterSeq + 1} to ${page.throughSeq}`);
    if (unreadable && reads.length === 1 && held.holding) throw new UnreadableFileError("a page is gone");
    return held.store.readEvents(runNo, page);
  };
  const rig = new EngineRig({ store: { ...held.store, readEvents } });
  const worker = await rig.worker().greeted();
  const runId = await rig.started({ input: json("input") });
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  worker.accept(lease);
  await worker.op(lease, [
    ...Array.from({ length: steps }, (_, index) => completeStep(`s${index}`, output)),
    { type: "SuspendRun", awaits: [{ kind: "signal", name: "go", stepKey: "w" }], noticesSeen: 2 },
  ]);
  reads.length = 0;
  held.holding = true;
  const told = rig.engine.signalRun({ namespace: "default", runId }, { name: "go", payload: json(7), requestId: "" });
  await rig.settle();
  function release(): void {
    held.holding = false;
    held.release();
  }
  return { rig, worker, reads, told, release };
}
const journal = [
  { kind: "completed", stepKey: "s0" },
  { kind: "signal", stepKey: "w", payload: json(7) },
];

test("a short history is read while its grant is being committed", async () => {
  const { rig, worker, reads, told, release } = await woken();
  expect(reads).toEqual(["1 to 5"]);
  expect(worker.assignments).toHaveLength(1);
  release();
  await told;
  await rig.settle();
  expect(reads).toEqual(["1 to 5"]);
  expect(worker.assignments[1]).toMatchObject({ input: json("input"), journal, journalContinues: false });
});

test("a page that cannot be read beside a commit stops nothing", async () => {
  const { rig, worker, reads, told, release } = await woken({ unreadable: true });
  expect(reads).toEqual(["1 to 5"]);
  release();
  await told;
  await rig.settle();
  expect(rig.fatal).toEqual([]);
  expect(reads).toHaveLength(2);
  expect(worker.assignments[1]).toMatchObject({ journal });
});

test.each([
  ["of many events", { steps: 100, output: 1 }],
  ["of many bytes", { steps: 1, output: "x".repeat(100_000) }],
])("one %s is read behind the commit, once", async (_what, more) => {
  const { rig, worker, reads, told, release } = await woken(more);
  expect(reads).toEqual([]);
  release();
  await told;
  await rig.settle();
  expect(reads).toHaveLength(1);
  expect(worker.assignments[1]).toMatchObject({ input: json("input"), journalContinues: false });
  expect(worker.assignments[1]!.journal.at(-1)).toMatchObject(journal[1]!);
  expect(worker.assignments[1]!.journal).toHaveLength(more.steps + 1);
});
