import { expect, test } from "vitest";
import { UnreadableFileError } from "../../src/store/store.ts";
import { useTemporaryFile } from "../store/temporary.ts";
import { EngineRig, startRequest } from "../support/engine-rig.ts";
import { json } from "../support/given.ts";

// Rows have no CRC, histories have. A row that says something else costs its own run at most, and the server nothing.

const file = useTemporaryFile();
const MiB = 1024 * 1024;

async function openRig(): Promise<EngineRig> {
  return new EngineRig({ store: await file.open(), runCacheMax: 1 });
}
function change(sql: string): void {
  file.tamper((database) => database.exec(sql));
}

test("a status that there is not sets its run aside, and the others are granted and listed", async () => {
  const before = await openRig();
  for (const runId of ["bad", "good"]) await before.started({ runId, runTimeoutMs: 60_000 });
  await before.engine.stop();
  change("UPDATE runs SET status = 9 WHERE run_no = 1");
  const rig = await openRig();
  const worker = await rig.worker().greeted();
  await expect.poll(() => worker.assignments.map(({ lease }) => lease.runId)).toEqual(["good"]);
  await rig.advanceMs(61_000);
  await expect.poll(() => rig.run("good")).toMatchObject({ status: "FAILED" });
  expect(await rig.run("bad")).toMatchObject({ status: "PAUSED", pauseReason: "CORRUPT_HISTORY" });
  expect(rig.fatal).toEqual([]);
  await rig.engine.stop();
});

test("a row that says one event is not believed when a page of the history was cut by its bytes", async () => {
  const before = await openRig();
  const large = { data: "x".repeat(3 * MiB), encoding: "" };
  const ref = { namespace: "default", runId: await before.started({ input: large }) };
  for (const payload of [{ ...large, data: large.data.slice(MiB) }, json(1)])
    await before.engine.signalRun(ref, { name: "go", payload, requestId: "" });
  await before.engine.stop();
  change("UPDATE runs SET last_seq = 1");
  const rig = await openRig();
  const worker = await rig.worker().greeted();
  await expect.poll(() => worker.assignments.length).toBe(1);
  expect(await rig.run(ref.runId)).toMatchObject({ status: "RUNNING", lastSeq: 4 });
  expect(rig.fatal).toEqual([]);
  await rig.engine.stop();
});

test("a start whose id cannot be looked up is refused, and those beside it are not", async () => {
  const store = await file.open();
  const rig = new EngineRig({
    store: {
      ...store,
      findRun(namespace, runId) {
        if (runId === "bad") throw new UnreadableFileError("an index of runs leads to another run");
        return store.findRun(namespace, runId);
      },
    },
  });
  const starts = ["fresh", "bad", "more"].map((runId) => startRequest({ runId }));
  expect(await rig.engine.startRuns(starts)).toMatchObject([
    { kind: "started", runId: "fresh" },
    { kind: "refused", reason: "INTERNAL" },
    { kind: "started", runId: "more" },
  ]);
  expect(await rig.run("more")).toMatchObject({ status: "QUEUED" });
  expect(rig.fatal).toEqual([]);
  await rig.engine.stop();
});

test("a deadline whose row comes too early comes again when its history says", async () => {
  const before = await openRig();
  const ref = { namespace: "default", runId: await before.started({ runTimeoutMs: 600_000 }) };
  await before.engine.stop();
  change("UPDATE deadlines SET due_at_ms = due_at_ms - 590_000");
  const rig = new EngineRig({ store: await file.open(), clock: before.clock });
  await rig.advanceMs(60_000);
  expect(await rig.run(ref.runId)).toMatchObject({ status: "QUEUED" });
  await rig.advanceMs(550_000);
  await expect.poll(() => rig.run(ref.runId)).toMatchObject({ status: "FAILED" });
  await rig.engine.stop();
});
