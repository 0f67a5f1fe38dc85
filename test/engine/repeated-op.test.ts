import { expect, test } from "vitest";
import type { Change } from "../../src/core/command.ts";
import { EngineRig } from "../support/engine-rig.ts";
import { completeStep, json, startStep } from "../support/given.ts";

// A worker whose answer was lost asks again: it must be told what it was told, whatever the changes of its op meet.

const failStep = (stepKey: string, attempt: number, maxAttempts = 3): Change => ({
  type: "FailStep",
  stepKey,
  attempt,
  failure: { type: "Error", message: "m" },
  retryPolicy: { maxAttempts, initialDelayMs: 500, jitter: 0 },
  elapsedMs: 0,
});
const setTimer = (stepKey: string, signalName = ""): Change => ({
  type: "SetTimer",
  stepKey,
  delayMs: 60_000,
  signalName,
});
const consume = (stepKey: string): Change => ({ type: "ConsumeSignal", stepKey, name: "go" });

/** A worker that holds a run for which a signal is there. */
async function holder() {
  const rig = new EngineRig();
  const runId = await rig.started();
  await rig.engine.signalRun({ namespace: "default", runId }, { name: "go", payload: json("s"), requestId: "" });
  const worker = await rig.worker().greeted();
  await rig.settle();
  const { lease } = worker.assignments[0]!;
  worker.accept(lease);
  return { worker, lease };
}

const cases: { name: string; before?: Change[]; changes: Change[]; kinds: string[] }[] = [
  { name: "a result twice", changes: [completeStep("a"), completeStep("a")], kinds: ["stored 1"] },
  { name: "a start behind its result", changes: [completeStep("a"), startStep("a")], kinds: ["stored 1"] },
  { name: "a start before its result", changes: [startStep("a"), completeStep("a")], kinds: [] },
  {
    name: "a result of an earlier op",
    before: [completeStep("a")],
    changes: [completeStep("a"), completeStep("b")],
    kinds: ["stored 0"],
  },
  { name: "a failure twice", changes: [failStep("a", 1), failStep("a", 1)], kinds: ["retry 0", "retry 1"] },
  {
    name: "the last failure twice",
    changes: [failStep("a", 1, 1), failStep("a", 1, 1)],
    kinds: ["exhausted 0", "exhausted 1"],
  },
  { name: "a failure behind its start", changes: [startStep("a"), failStep("a", 1)], kinds: ["retry 1"] },
  { name: "a wait and its signal", changes: [setTimer("w", "go"), consume("w")], kinds: ["timer 0", "signal 1"] },
  { name: "a signal twice", changes: [consume("w"), consume("w")], kinds: ["signal 0", "signal 1"] },
  {
    name: "a timer of an earlier op",
    before: [setTimer("t")],
    changes: [setTimer("t"), completeStep("a")],
    kinds: ["timer 0"],
  },
];

test.each(cases)("$name", async ({ before, changes, kinds }) => {
  const { worker, lease } = await holder();
  if (before !== undefined) await worker.op(lease, before, { opId: 1 });
  const first = await worker.op(lease, changes, { opId: 2 });
  expect(first).toMatchObject({ kind: "applied", already: false });
  if (first?.kind !== "applied") return;
  expect(first.notes.map(({ kind, index }) => `${kind} ${index}`)).toEqual(kinds);
  const again = await worker.op(lease, changes, { opId: 2 });
  expect(again).toMatchObject({ kind: "applied", already: true, notes: first.notes });
});

test("events of a later op that stand between those of an op are not told as its own", async () => {
  const { worker, lease } = await holder();
  const changes = [failStep("b", 1), failStep("b", 1), startStep("a")];
  // In one batch: the start of the first waits for the end of it, behind the event of the second.
  const [first] = await Promise.all([
    worker.op(lease, changes, { opId: 1 }),
    worker.op(lease, [failStep("b", 2)], { opId: 2 }),
  ]);
  if (first?.kind !== "applied") return expect.fail("it was not applied");
  expect(first.notes.map(({ kind }) => kind)).toEqual(["retry", "retry"]);
  expect(await worker.op(lease, changes, { opId: 1 })).toMatchObject({ already: true, notes: first.notes });
});

test("an at-most-once step is not entered on the answer to a call that is repeated behind the end of its lease", async () => {
  const rig = new EngineRig();
  const runId = await rig.started();
  const { lease } = (await rig.acquire())!;
  const start = () => rig.unary(lease, startStep("charge", { atMostOnce: true }), 1);
  expect((await start()).applied).toMatchObject({ already: false });
  expect((await start()).applied).toMatchObject({ already: true });
  await rig.advanceMs(30_001);
  expect(await rig.run(runId)).toMatchObject({ status: "PAUSED", pauseReason: "UNCERTAIN_EFFECT" });
  await expect(start()).rejects.toMatchObject({ reason: "LEASE_LOST" });
  // Somebody has looked: the step never ran.
  await rig.engine.resumeRun({ namespace: "default", runId }, { kind: "repeat" });
  await expect(start()).rejects.toMatchObject({ reason: "LEASE_LOST" });
  expect((await rig.acquire())?.lease.epoch).toBe(2);
  await expect(start()).rejects.toMatchObject({ reason: "LEASE_LOST" });
});

test("an op that also settled the at-most-once step that it started is told as applied, whatever became of its lease", async () => {
  const { worker, lease } = await holder();
  const changes: Change[] = [
    startStep("charge", { atMostOnce: true }),
    completeStep("charge"),
    { type: "CompleteRun", output: undefined },
  ];
  expect(await worker.op(lease, changes, { opId: 1 })).toMatchObject({ kind: "applied", already: false });
  expect(await worker.op(lease, changes, { opId: 1 })).toMatchObject({ kind: "applied", already: true });
});
