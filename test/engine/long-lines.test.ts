import { expect, test } from "vitest";
import { loadTogetherMax } from "../../src/limits.ts";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import type { CommitOutcome, Store } from "../../src/store/store.ts";
import { useTemporaryFile } from "../store/temporary.ts";
import { EngineRig } from "../support/engine-rig.ts";
import { json } from "../support/given.ts";

// The runs of a long line are not in memory when their turn comes. Those that there is room for are read together.

const file = useTemporaryFile();

/** A rig whose store notes what is read, and in which nothing stays in memory that is not leased. */
function watchedRig(runCacheMax = 1) {
  const together: number[][] = [];
  const alone: number[] = [];
  let commits: Promise<undefined> = Promise.resolve(undefined);
  let failed: CommitOutcome | undefined;
  const store: Store = createMemoryStore({
    beforeCommit: async () => {
      const outcome = failed;
      failed = undefined;
      return outcome ?? commits;
    },
  });
  const rig = new EngineRig({
    runCacheMax,
    store: {
      ...store,
      readUngranted(runNos, bytesMax) {
        together.push([...runNos]);
        return store.readUngranted(runNos, bytesMax);
      },
      getRun(runNo) {
        alone.push(runNo);
        return store.getRun(runNo);
      },
    },
  });
  /** Until it is called, nothing becomes durable. */
  const holdCommits = () => {
    let release = () => {};
    commits = new Promise((resolve) => (release = () => resolve(undefined)));
    return release;
  };
  /** There is no room for the next one, and again after a while. */
  const failCommit = () => {
    failed = { kind: "full", message: "planted" };
  };
  return { rig, together, alone, holdCommits, failCommit };
}

/** Run ids and numbers from the first to the last, in the order in which they were started. */
async function queue(rig: EngineRig, count: number, more: Parameters<EngineRig["started"]>[0] = {}): Promise<void> {
  for (let at = 0; at < count; at++) await rig.started({ input: json(at), ...more });
  await rig.settle();
}
const numbers = (from: number, through: number) => Array.from({ length: through - from + 1 }, (_, at) => from + at);

test("what there is room for is read together, and is granted in order, each with its input", async () => {
  const { rig, together, alone } = watchedRig();
  await queue(rig, 30);
  const worker = await rig.worker({ capacity: 20 }).greeted();
  expect(worker.assignments.map(({ input }) => input)).toEqual(numbers(0, 19).map((at) => json(at)));
  expect(together).toEqual([numbers(1, 20)]);
  expect(alone).toEqual([]);
});

test("no more at once than the bound, and only as many as there is room for", async () => {
  const { rig, together, alone } = watchedRig();
  await queue(rig, 2 * loadTogetherMax + 20);
  const worker = await rig.worker({ capacity: loadTogetherMax + 10 }).greeted();
  expect(together).toEqual([numbers(1, loadTogetherMax), numbers(loadTogetherMax + 1, loadTogetherMax + 10)]);
  const [first, second] = worker.assignments.map(({ lease }) => lease);
  worker.accept(first!, second!);
  await worker.op(first!, [{ type: "CompleteRun", output: undefined }]);
  expect(together).toHaveLength(2);
  expect(alone).toEqual([loadTogetherMax + 11]);
  expect(worker.assignments).toHaveLength(loadTogetherMax + 11);
});

test("the room of many small workers counts, that of workers for other lines does not", async () => {
  const { rig, together } = watchedRig();
  await queue(rig, 30);
  await Promise.all(Array.from({ length: 50 }, () => rig.worker({ workflows: ["none"] }).greeted()));
  const small = Array.from({ length: 10 }, () => rig.worker({ capacity: 1 }));
  for (const worker of small) worker.handle.hello(worker.hello);
  await rig.settle();
  expect(small.every(({ assignments }) => assignments.length === 1)).toBe(true);
  expect(together).toEqual([numbers(1, 10)]);
});

test("each line has its share of the room, so that what is read is also granted", async () => {
  const { rig, together } = watchedRig();
  for (let at = 0; at < 20; at++) for (const workflow of ["order", "mail"]) await rig.started({ workflow });
  await rig.settle();
  const worker = await rig.worker({ capacity: 10, workflows: ["order", "mail", "none"] }).greeted();
  expect(worker.assignments).toHaveLength(10);
  expect(together).toEqual([
    [1, 3, 5, 7, 9],
    [2, 4, 6, 8, 10],
  ]);
});

test("runs that the read leaves out are granted all the same, and are looked for together only once", async () => {
  const { rig, together, alone } = watchedRig();
  const large = { data: "x".repeat(2_000), encoding: "" };
  await queue(rig, 2, { input: large });
  const runId = await rig.started();
  await rig.engine.signalRun({ namespace: "default", runId }, { name: "go", payload: json(1), requestId: "" });
  await queue(rig, 3, { input: large });
  const worker = await rig.worker({ capacity: 5 }).greeted();
  expect(worker.assignments.map(({ input }) => input)).toEqual([large, large, undefined, large, large]);
  expect(worker.assignments[2]!.openSignals).toMatchObject([{ payload: json(1) }]);
  expect(together).toEqual([numbers(1, 5)]);
  expect(alone).toEqual(numbers(1, 5));
});

test("a run of which memory knows more than the file is not read", async () => {
  const { rig, together, holdCommits } = watchedRig();
  await queue(rig, 4);
  const ref = { namespace: "default", runId: "known" };
  await rig.started({ runId: ref.runId });
  await queue(rig, 4);
  const release = holdCommits();
  const signalled = rig.engine.signalRun(ref, { name: "go", payload: json(1), requestId: "" });
  const worker = await rig.worker({ capacity: 9 }).greeted();
  expect(together).toEqual([[...numbers(1, 4), ...numbers(6, 8)]]);
  release();
  await signalled;
  await rig.settle();
  expect(worker.assignments).toHaveLength(9);
  expect(worker.assignments[4]!.openSignals).toMatchObject([{ payload: json(1) }]);
  expect(await rig.eventTypes(ref.runId)).toEqual(["RunCreated", "SignalReceived", "LeaseGranted"]);
});

test("runs that come before what was read, and are not in memory either, are read together, too", async () => {
  const { rig, together, alone } = watchedRig();
  await queue(rig, 20);
  const worker = await rig.worker({ capacity: 5 }).greeted();
  await queue(rig, 20, { priority: 1 });
  together.length = 0;
  const leases = worker.assignments.map(({ lease }) => lease);
  worker.accept(...leases);
  worker.handle.capacity(0);
  for (const lease of leases) await worker.op(lease, [{ type: "CompleteRun", output: undefined }]);
  worker.handle.capacity(5);
  await rig.settle();
  expect(together).toEqual([numbers(21, 25)]);
  expect(alone).toEqual([]);
  expect(worker.assignments).toHaveLength(10);
});

test("behind a commit that failed they are read together again", async () => {
  const { rig, together, alone, failCommit } = watchedRig();
  const worker = await rig.worker({ capacity: 0 }).greeted();
  await queue(rig, 10);
  failCommit();
  worker.handle.capacity(5);
  await rig.settle();
  expect(worker.assignments).toEqual([]);
  await rig.advanceMs(2_000);
  expect(together).toEqual([numbers(1, 5), numbers(1, 5)]);
  expect(alone).toEqual([]);
  expect(worker.assignments).toHaveLength(5);
});

test("a row that knows of fewer events than there are misleads nobody", async () => {
  const rig = new EngineRig({ store: await file.open(), runCacheMax: 1 });
  const runIds: string[] = [];
  for (let at = 0; at < 6; at++) runIds.push(await rig.started());
  const ref = { namespace: "default", runId: runIds[1]! };
  for (let at = 0; at < 2; at++) await rig.engine.signalRun(ref, { name: "go", payload: json(at), requestId: "" });
  await rig.started();
  file.tamper((database) => void database.prepare("UPDATE runs SET last_seq = 1 WHERE run_no = 2").run());
  const worker = await rig.worker({ capacity: 4 }).greeted();
  await expect.poll(() => worker.assignments.length).toBe(4);
  expect(worker.assignments[1]!.openSignals).toMatchObject([0, 1].map((at) => ({ payload: json(at) })));
  expect(rig.fatal).toEqual([]);
  await rig.engine.stop();
});

test("a first event that cannot be read costs its own run and holds up nobody", async () => {
  const rig = new EngineRig({ store: await file.open(), runCacheMax: 1 });
  const runIds: string[] = [];
  for (let at = 0; at < 6; at++) runIds.push(await rig.started({ input: json(at) }));
  await rig.settle();
  file.tamper((database) => void database.prepare(`UPDATE events SET payload = '"#"' WHERE run_no = 2`).run());
  const worker = await rig.worker({ capacity: 4 }).greeted();
  await expect.poll(() => worker.assignments.length).toBe(4);
  expect(worker.assignments.map(({ input }) => input)).toEqual([0, 2, 3, 4].map((at) => json(at)));
  await expect.poll(() => rig.run(runIds[1]!)).toMatchObject({ status: "PAUSED", pauseReason: "CORRUPT_HISTORY" });
  await rig.engine.stop();
});
