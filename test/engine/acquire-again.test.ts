import { expect, test } from "vitest";
import { EngineRig } from "../support/engine-rig.ts";
import { completeStep } from "../support/given.ts";
import { HeldStore } from "../support/held-store.ts";

test("an acquire that is asked again is answered, also while later steps of its lease are being committed", async () => {
  const store = new HeldStore();
  const rig = new EngineRig({ store: store.store });
  await rig.started();
  const request = { workerId: "w", requestId: "q" };
  const { lease } = (await rig.acquire(request))!;
  store.holding = true;
  const steps = [rig.unary(lease, completeStep("a"), 1)];
  await rig.settle();
  expect(store.held).toBe(1);
  // The answer was lost: asked again, behind a commit that is under way, with the next step in the same batch.
  const again = rig.acquire(request);
  steps.push(rig.unary(lease, completeStep("b"), 2));
  await rig.settle();
  store.holding = false;
  store.release();
  await rig.settle();
  const answer = await Promise.race([again, "no answer"]);
  expect(answer).toMatchObject({ lease, journal: [{ stepKey: "a" }] });
  await Promise.all(steps);
});

test("an acquire that is asked again while it waits gets one lease, and the newest call gets it", async () => {
  const rig = new EngineRig();
  const request = { workerId: "w", requestId: "q", waitMs: 10_000 };
  const first = rig.acquire(request);
  await rig.settle();
  const second = rig.acquire(request);
  await rig.settle();
  const runIds = [await rig.started(), await rig.started()];
  await rig.settle();
  expect(await first).toBeUndefined();
  expect((await second)?.lease.runId).toBe(runIds[0]);
  expect((await rig.run(runIds[1]!)).status).toBe("QUEUED");
});
