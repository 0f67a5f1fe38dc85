import { expect, test } from "vitest";
import { hellosPerSecondMax } from "../../src/limits.ts";
import { EngineRig } from "../support/engine-rig.ts";

// Who gets work, who gets no more, and what becomes of a session that is gone.

async function endings(rig: EngineRig, runId: string): Promise<string[]> {
  const { items } = await rig.engine.history({ namespace: "default", runId }, { afterSeq: 0, limit: 1_000 });
  return items.flatMap((event) => (event.type === "LeaseEnded" ? [event.detail.reason] : []));
}

test("three offers that a live worker does not accept, and it gets no more until its next Hello", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker({ capacity: 2 }).greeted();
  await rig.started({ runId: "kept" });
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  worker.accept(lease);
  await rig.started({ runId: "left" });
  // Beats for the lease that it holds say nothing of the offers.
  for (let offer = 0; offer < 8; offer++) {
    worker.beat(lease);
    await rig.advanceMs(5_001);
  }
  expect(worker.assignments.length - 1).toBe(3);
  expect(await endings(rig, "left")).toEqual(["UNACCEPTED", "UNACCEPTED", "UNACCEPTED"]);
  expect((await rig.engine.explainRun({ namespace: "default", runId: "left" })).deliveriesSinceProgress).toBe(0);

  worker.handle.closed();
  const held = [{ lease, noticesSeen: 0, lastRefusedOpId: 0 }];
  const again = await rig.worker({ ...worker.hello, held }).greeted();
  await rig.settle();
  expect(again.assignments).toMatchObject([{ lease: { runId: "left" } }]);
});

test("an accepted offer clears the earlier ones", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker({ capacity: 1 }).greeted();
  await rig.started();
  for (let offer = 0; offer < 2; offer++) await rig.advanceMs(5_001);
  worker.accept(worker.assignments.at(-1)!.lease);
  worker.handle.release([worker.assignments.at(-1)!.lease], 0);
  for (let offer = 0; offer < 8; offer++) {
    worker.handle.pong(1);
    await rig.advanceMs(5_001);
  }
  expect(worker.assignments).toHaveLength(3 + 3);
});

test("an offer whose stream died with it counts against the run", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  expect(worker.assignments).toHaveLength(1);
  worker.handle.closed();
  await rig.advanceMs(5_001);
  expect(await endings(rig, runId)).toEqual(["UNACCEPTED"]);
  expect((await rig.engine.explainRun({ namespace: "default", runId })).deliveriesSinceProgress).toBe(1);
});

test("Goodbye: what the worker never got is not held against the run", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker({ capacity: 2 }).greeted();
  await rig.started({ runId: "got" });
  await rig.settle();
  worker.accept(worker.assignments[0]!.lease);
  worker.reading = false;
  await rig.started({ runId: "unread" });
  await rig.settle();
  worker.handle.goodbye();
  await rig.settle();
  expect(await endings(rig, "got")).toEqual(["RELEASED"]);
  expect(await endings(rig, "unread")).toEqual(["UNDELIVERED"]);
  expect(rig.engine.status().sessions).toBe(0);
});

test("one instance in two namespaces: a Hello in one says nothing of the leases in the other", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker({ instanceId: "one" }).greeted();
  const runId = await rig.started();
  await rig.settle();
  worker.accept(worker.assignments[0]!.lease);
  await rig.worker({ instanceId: "one", namespace: "other" }).greeted();
  await rig.settle();
  expect(await endings(rig, runId)).toEqual([]);
});

test("a lost session is forgotten when its grace is over, however its stream was lost, and not a moment before", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  worker.handle.closed();
  await rig.advanceMs(14_000);
  // Back, and gone again: the grace starts anew.
  const welcome = worker.of("welcome")[0]!;
  const resume = { sessionId: welcome.sessionId, resumeToken: welcome.resumeToken };
  const back = await rig.worker({ ...worker.hello, resume }).greeted();
  expect(back.of("welcome")[0]?.resumed).toBe(true);
  back.handle.closed();
  await rig.advanceMs(2_000);
  expect(rig.engine.status().sessions).toBe(1);
  await rig.advanceMs(13_001);
  expect(rig.engine.status().sessions).toBe(0);

  const stalled = await rig.worker().greeted();
  stalled.reading = false;
  await rig.started();
  await rig.advanceMs(25_000);
  expect(rig.engine.status().counters.slowConsumers).toBe(1);
  stalled.handle.closed();
  await rig.advanceMs(15_001);
  expect(rig.engine.status().sessions).toBe(0);
});

test("a Hello too many in one second is told when to come back, and is welcome then", async () => {
  const rig = new EngineRig();
  await Promise.all(Array.from({ length: hellosPerSecondMax }, () => rig.worker().greeted()));
  const late = await rig.worker().greeted();
  const [told] = late.of("goAway");
  expect(told).toMatchObject({ reason: "OVERLOAD" });
  expect(late.ended).toBe(true);
  expect(rig.engine.status().sessions).toBe(hellosPerSecondMax);
  await rig.advanceMs(told!.reconnectAfterMs);
  const again = await rig.worker(late.hello).greeted();
  expect(again.of("welcome")).toHaveLength(1);
  expect(rig.engine.status().counters).toMatchObject({ hellos: hellosPerSecondMax + 2, hellosPutOff: 1 });
});

test("a worker that is gone without a word is noticed within 20 s; one that says a word when it is asked stays", async () => {
  const rig = new EngineRig();
  const [gone, quiet] = [await rig.worker().greeted(), await rig.worker().greeted()];
  let pings = 0;
  for (let second = 1; second <= 60; second++) {
    await rig.advanceMs(1_000);
    if (quiet.of("ping").length > pings) quiet.handle.pong(++pings);
    if (second <= 14) expect(gone.ended).toBe(false);
    if (second >= 20) expect(gone.ended).toBe(true);
  }
  expect(gone.of("ping")).toHaveLength(1);
  expect(gone.of("goAway")).toMatchObject([{ reason: "SLOW_CONSUMER" }]);
  expect(quiet.ended).toBe(false);
});

test("a server that stood still gives nobody up before it has asked", async () => {
  const rig = new EngineRig();
  const worker = await rig.worker().greeted();
  rig.clock.standStill(29_000);
  await rig.advanceMs(0);
  expect(worker.ended).toBe(false);
  expect(worker.of("ping")).toHaveLength(1);
  worker.handle.pong(1);
  await rig.advanceMs(9_000);
  expect(worker.ended).toBe(false);
});

test.each([
  { leaseTtlMs: 6_000, endedMs: [6_000, 8_000] },
  { leaseTtlMs: 60_000, endedMs: [30_000, 40_000] },
])("with a TTL of $leaseTtlMs ms a silent stream ends between $endedMs ms", async ({ leaseTtlMs, endedMs }) => {
  const rig = new EngineRig({ leaseTtlMs });
  const gone = await rig.worker().greeted();
  await rig.advanceMs(endedMs[0]!);
  expect(gone.ended).toBe(false);
  await rig.advanceMs(endedMs[1]! - endedMs[0]!);
  expect(gone.ended).toBe(true);
});
