import { afterEach, expect, test } from "vitest";
import { startRequest } from "../support/engine-rig.ts";
import { createHeld, expectNoErrors, turns } from "../support/held-engine.ts";

// When a commit begins, and what goes into it.

afterEach(expectNoErrors);

test("what has grown as large as the commit under way is given to the store behind it, and no third", async () => {
  const { store, rig } = createHeld();
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
  const { store, rig } = createHeld();
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
  const { store, rig } = createHeld();
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
  const { store, rig } = createHeld();
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
  const { store, rig } = createHeld();
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
