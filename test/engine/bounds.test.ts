import { expect, test } from "vitest";
import { batchBytesMax, batchCommandsMax, mailboxBytesMax, mailboxLengthMax } from "../../src/limits.ts";
import { EngineRig, startRequest } from "../support/engine-rig.ts";
import { HeldStore } from "../support/held-store.ts";

// Commands wait in a bounded room, by number and by bytes. What finds no room is told so and changes nothing.

const MiB = 1024 * 1024;
const input = { data: "x".repeat(4 * MiB), encoding: "" };

test("large commands that find no room are refused BUSY; the others are all applied, in commits of bounded size", async () => {
  const held = new HeldStore();
  const rig = new EngineRig({ store: held.store });
  held.holding = true;
  const first = rig.start();
  await rig.settle();
  const starts = Array.from({ length: 40 }, () => rig.engine.startRuns([startRequest({ input })]));
  const outcomes = Promise.allSettled(starts);
  await rig.settle();
  held.holding = false;
  held.release();
  await first;
  const settled = await outcomes;
  const refused = settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  expect(refused.length).toBeGreaterThan(0);
  for (const error of refused) expect(error).toMatchObject({ reason: "BUSY", refusal: { retryAfterMs: 100 } });
  const applied = settled.length - refused.length;
  expect(applied * 4 * MiB).toBeGreaterThanOrEqual(mailboxBytesMax);
  const perCommit = Math.ceil(batchBytesMax / (4 * MiB));
  expect(rig.engine.status().counters.commits).toBeGreaterThanOrEqual(1 + Math.floor(applied / perCommit));
  expect(await rig.start({ input })).toMatchObject({ kind: "started" });
});

test("payloads that wait under a lease by its holder's name count as well", async () => {
  const held = new HeldStore();
  const rig = new EngineRig({ store: held.store });
  const worker = rig.worker();
  await worker.greeted();
  const runId = await rig.started();
  await rig.settle();
  held.holding = true;
  const first = rig.start();
  await rig.settle();
  const complete = (stepKey: string) =>
    rig.engine.applyClaimed({
      namespace: "default",
      lease: { runId, workerId: "nobody", leaseId: "", epoch: 0 },
      changes: [{ type: "CompleteStep", stepKey, attempt: 0, output: input, elapsedMs: 0 }],
    });
  const outcomes = Promise.allSettled(Array.from({ length: 40 }, (_, index) => complete(`step ${index}`)));
  await rig.settle();
  held.holding = false;
  held.release();
  await first;
  const reasons = (await outcomes).map((one) => (one.status === "rejected" ? one.reason.reason : "applied"));
  expect(reasons).toContain("BUSY");
  expect(reasons).toContain("LEASE_LOST");
});

test("a lease that is over while the mailbox is full ends when there is room, and holds nobody up meanwhile", async () => {
  const held = new HeldStore();
  const rig = new EngineRig({ store: held.store, leaseTtlMs: 3_000 });
  const worker = await rig.worker().greeted();
  const runId = await rig.started();
  await rig.settle();
  expect(worker.assignments).toHaveLength(1);
  worker.accept(worker.assignments[0]!.lease);
  held.holding = true;
  const first = rig.start();
  await rig.settle();
  // What one commit takes is decided and waits with it; then the mailbox fills up behind that.
  const signal = () =>
    rig.engine.signalRun({ namespace: "default", runId }, { name: "s", payload: undefined, requestId: "one" }).then(
      () => "applied",
      (error: { reason: string }) => error.reason,
    );
  const signals = Array.from({ length: batchCommandsMax }, signal);
  await rig.settle();
  signals.push(...Array.from({ length: mailboxLengthMax + 100 }, signal));
  await rig.settle();
  await rig.advanceMs(3_500);
  expect((await rig.run(runId)).status).toBe("RUNNING");
  held.holding = false;
  held.release();
  await first;
  expect(new Set(await Promise.all(signals))).toEqual(new Set(["applied", "BUSY"]));
  await rig.advanceMs(1_100);
  expect(await rig.eventTypes(runId)).toContain("LeaseEnded");
});
