import { expect, test } from "vitest";
import type { Change } from "../../src/core/command.ts";
import { completeStep, Scenario, startStep, testLimits } from "../support/given.ts";

// At the limit of its history a run can be ended, and nothing makes it longer than limit and reserve together.

const small = { ...testLimits, historyEventsMax: 40, reservedEvents: 20 };
const pause = { type: "PauseRun", reason: "", graceMs: 0 } as const;
const timer = (stepKey: string): Change => ({ type: "SetTimer", stepKey, delayMs: 10, signalName: "" });

/** At seq 40 with steps running and timers pending; 50 is where the last ten begin. */
function atLimit(): Scenario {
  const run = new Scenario();
  run.limits = small;
  run.granted();
  for (let i = 0; i < 18; i++) run.op([timer(`t${i}`)]);
  for (let i = 0; i < 20; i++) run.op([startStep(`s${i}`)]).sealed();
  expect(run.state.lastSeq).toBe(40);
  return run;
}

test("results of running steps find a place in the reserve, but not in its last ten events", () => {
  const run = atLimit();
  run.op([startStep("more")]).thenRefuses("HISTORY_LIMIT");
  for (let i = 0; i < 10; i++) run.op([completeStep(`s${i}`)]).thenRecords("StepCompleted");
  expect(run.state.lastSeq).toBe(50);
  run.op([completeStep("s10")]).thenRefuses("HISTORY_LIMIT");
  run.op([completeStep("s10"), { type: "CompleteRun", output: undefined }]).thenIs("COMPLETED");
  const many = atLimit();
  const all = Array.from({ length: 20 }, (_, index) => completeStep(`s${index}`));
  many.op([...all, { type: "CompleteRun", output: undefined }]).thenRefuses("HISTORY_LIMIT");
});

test("results of running steps find a place in the reserve of bytes, but none beyond it", () => {
  const run = new Scenario();
  const [limit, reserve] = [10_000, 5_000];
  run.limits = { ...testLimits, historyBytesMax: limit, reservedBytes: reserve };
  run.granted();
  for (let i = 0; i < 20; i++) run.op([startStep(`s${i}`)]).sealed();
  const large = "x".repeat(4_000);
  for (let i = 0; i < 3; i++) run.op([completeStep(`s${i}`, large)]).thenRecords("StepCompleted");
  expect(run.state.historyBytes).toBeGreaterThan(limit);
  run.op([completeStep("s3", large)]).thenRefuses("HISTORY_LIMIT");
  run.op([completeStep("s4", "small")]).thenRecords("StepCompleted");
  run.op([completeStep("s5", large), startStep("s0")]).thenRefuses("HISTORY_LIMIT");
  expect(run.state.historyBytes).toBeLessThanOrEqual(limit + reserve);
  run.op([{ type: "CompleteRun", output: { data: JSON.stringify(large), encoding: "" } }]).thenIs("COMPLETED");
});

test("timers that fire at the end of the reserve close the run", () => {
  const run = atLimit().after(10);
  for (let i = 0; i < 18 && run.state.status === "RUNNING"; i++) {
    run.when({ type: "DeadlineDue", kind: "timer", stepKey: `t${i}` });
  }
  run.thenRecords("LeaseEnded", "RunFailed").thenIs("FAILED");
  expect(run.state.failure?.type).toBe("HISTORY_LIMIT");
  expect(run.state.lastSeq).toBe(52);
});

test("neither renewals nor pauses make a history longer for ever", () => {
  const renewed = atLimit();
  for (let ttlMs = 40_000; ttlMs < 40_030; ttlMs++) renewed.when({ type: "ExtendLease", lease: renewed.lease, ttlMs });
  renewed.thenRefuses("HISTORY_LIMIT");
  expect(renewed.state.lastSeq).toBe(50);
  renewed.op([{ type: "CompleteRun", output: undefined }]).thenIs("COMPLETED");

  const paused = atLimit();
  paused.when({ type: "ReleaseLease", lease: paused.lease, retryAfterMs: 0 });
  for (let round = 0; round < 30; round++) paused.when(pause).when({ type: "ResumeRun", resolution: undefined });
  expect(paused.state.lastSeq).toBeLessThanOrEqual(52);
  paused.when(pause).thenRefuses("HISTORY_LIMIT");
  paused.granted().thenRecords("RunFailed").thenIs("FAILED");
});
