import { expect, test } from "vitest";
import { batchBytesMax, mailboxBytesMax } from "../../src/limits.ts";
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
