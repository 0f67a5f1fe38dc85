import { expect, test } from "vitest";
import { EngineRig } from "../support/engine-rig.ts";
import { json } from "../support/given.ts";

// The watch over many runs: a place in the order of commits, from which a client goes on.

type Cursor = { commitNo: number; runNo: number };
const all = { namespace: "default", workflow: "", queue: "", statuses: [], runKey: "" };

/** A watch that is read by hand. */
function watching(rig: EngineRig, cursor?: Cursor, filter: Partial<typeof all> = {}) {
  const control = new AbortController();
  const messages = rig.engine
    .watchRuns({ ...all, ...filter }, { cursor, signal: control.signal })
    [Symbol.asyncIterator]();
  return {
    control,
    next: () => messages.next(),
    async told(): Promise<{ runs: string[]; cursor: Cursor }> {
      const { value } = await messages.next();
      const { runs, cursor } = value;
      return { runs: runs.map(({ runId, status }: { runId: string; status: string }) => `${runId} ${status}`), cursor };
    },
  };
}

test("tells from now on what changes, in order, and goes on behind a cursor with nothing lost and nothing twice", async () => {
  const rig = new EngineRig();
  await rig.started({ runId: "before" });
  const watch = watching(rig);
  expect((await watch.told()).runs).toEqual([]);
  await rig.started({ runId: "a" });
  const first = await watch.told();
  expect(first.runs).toEqual(["a QUEUED"]);
  const { lease } = (await rig.acquire())!;
  expect((await watch.told()).runs).toEqual([`${lease.runId} RUNNING`]);
  watch.control.abort();
  expect(await watch.next()).toMatchObject({ done: true });

  await rig.unary(lease, { type: "CompleteRun", output: json(1) });
  await rig.started({ runId: "b" });
  const again = watching(rig, first.cursor);
  expect((await again.told()).runs).toEqual([]);
  const missed = await again.told();
  expect(missed.runs).toEqual([`${lease.runId} COMPLETED`, "b QUEUED"]);
  await rig.started({ runId: "c" });
  expect((await again.told()).runs).toEqual(["c QUEUED"]);
  again.control.abort();
});

test("tells everything first when asked, and only what its filter lets pass", async () => {
  const rig = new EngineRig();
  for (const [runId, queue] of [
    ["a", "default"],
    ["b", "other"],
    ["c", "other"],
  ] as const)
    await rig.started({ runId, queue });
  const watch = watching(rig, { commitNo: 0, runNo: 0 }, { queue: "other" });
  expect((await watch.told()).runs).toEqual([]);
  expect((await watch.told()).runs).toEqual(["b QUEUED", "c QUEUED"]);
  await rig.started({ runId: "d" });
  await rig.started({ runId: "e", queue: "other" });
  expect((await watch.told()).runs).toEqual(["e QUEUED"]);
  watch.control.abort();
});

test("shows that it lives when nothing changes, and ends with an error when the server drains", async () => {
  const rig = new EngineRig();
  const watch = watching(rig);
  await watch.told();
  const alive = watch.told();
  await rig.advanceMs(16_000);
  expect((await alive).runs).toEqual([]);
  const end = watch.next();
  rig.engine.drain();
  await expect(end).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
});
