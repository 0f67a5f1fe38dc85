import { expect, test } from "vitest";
import { EngineError } from "../../src/core/errors.ts";
import { EngineRig, startRequest } from "../support/engine-rig.ts";

// The answer of one start is made of what its commit wrote, and must be what the file says.

const input = { data: '{"order":7}', encoding: "" };
const refOf = (runId: string) => ({ namespace: "default", runId });

test("a start that waits is answered as the file has it", async () => {
  const rig = new EngineRig();
  const request = startRequest({
    runId: "a",
    runKey: "k",
    priority: 3,
    startDelayMs: 1_000,
    runTimeoutMs: 5_000,
    input,
  });
  const { run, already } = await rig.engine.startRun(request);
  expect(already).toBe(false);
  expect(run).toMatchObject({ runId: "a", status: "QUEUED", input, lastSeq: 1 });
  expect(run).toEqual(await rig.run("a"));
});

test("one that is granted in the same commit is running", async () => {
  const rig = new EngineRig();
  await rig.worker().greeted();
  const { run } = await rig.engine.startRun(startRequest({ runId: "a", input }));
  expect(run).toMatchObject({ status: "RUNNING", input, lastSeq: 2, epoch: 1 });
  expect(run).toEqual(await rig.run("a"));
});

test("one that is ended in the same commit has ended, also for those that started others beside it", async () => {
  const rig = new EngineRig();
  const starts = ["a", "b", "c"].map((runId) => rig.engine.startRun(startRequest({ runId, input })));
  const ended = rig.engine.terminateRun(refOf("b"), { reason: "no" });
  const runs = (await Promise.all(starts)).map(({ run }) => run);
  await ended;
  expect(runs.map(({ runId, status }) => [runId, status])).toEqual([
    ["a", "QUEUED"],
    ["b", "TERMINATED"],
    ["c", "QUEUED"],
  ]);
  expect(runs).toEqual(await Promise.all(["a", "b", "c"].map((runId) => rig.run(runId))));
});

test("a repeat is answered with the run as it is, the first and the second in one commit, too", async () => {
  const rig = new EngineRig();
  const request = startRequest({ runId: "a", requestId: "q", input });
  const both = await Promise.all([rig.engine.startRun(request), rig.engine.startRun({ ...request, input: undefined })]);
  expect(both.map(({ already, run }) => [already, run.input])).toEqual([
    [false, input],
    [true, input],
  ]);
  await rig.engine.terminateRun(refOf("a"), { reason: "" });
  const { run, already } = await rig.engine.startRun(request);
  expect(already).toBe(true);
  expect(run).toMatchObject({ status: "TERMINATED", input });
});

test("a refusal is thrown, and nothing has happened", async () => {
  const rig = new EngineRig();
  await rig.engine.startRun(startRequest({ runId: "a" }));
  const refused = await rig.engine.startRun(startRequest({ runId: "a" })).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(EngineError);
  expect(refused).toMatchObject({ reason: "RUN_EXISTS" });
  expect(await rig.run("a")).toMatchObject({ lastSeq: 1 });
});
