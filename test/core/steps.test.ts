import { expect, test } from "vitest";
import type { Change } from "../../src/core/command.ts";
import { completeStep, failStep, json, Scenario, startStep } from "../support/given.ts";

const given = () => new Scenario().granted();

test("a start and its completion in one batch are one event", () => {
  const run = given()
    .op([startStep("a")])
    .after(5)
    .op([completeStep("a")]);
  run.thenRecords("StepCompleted").sealed();
  expect(run.events.map((event) => event.type)).toEqual(["RunCreated", "LeaseGranted", "StepCompleted"]);
  expect(run.events[2]?.startedAtMs).toBe(run.nowMs - 5);
});
test("a start that is open when its batch is sealed is an event of its own", () => {
  const run = given()
    .op([startStep("a")])
    .sealed();
  expect(run.events.at(-1)).toMatchObject({ type: "StepStarted", stepKey: "a", opId: 1 });
});
test("the same completion again is already applied, another one is refused", () => {
  given()
    .op([completeStep("a")])
    .op([completeStep("a")])
    .thenRecords();
  given()
    .op([completeStep("a", 1)])
    .op([completeStep("a", 2)])
    .thenRefuses("STEP_COMPLETED");
});
test("a late failure never overwrites a result", () => {
  given()
    .op([completeStep("a")])
    .op([failStep("a", 1)])
    .thenRefuses("STEP_COMPLETED");
});
test("a failed attempt is no result; the last one is", () => {
  const run = given();
  for (const attempt of [1, 2, 3]) run.op([failStep("a", attempt)]).thenRecords("StepAttemptFailed");
  run.op([failStep("a", 4)]).thenRecords("StepFailed");
  run.op([completeStep("a", 1, 4)]).thenRefuses("STEP_FAILED");
});
test("an op is repeated with its result, another one under its number is a conflict", () => {
  const run = given().op([completeStep("a", 1)], { opId: 7 });
  run.op([completeStep("a", 1)], { opId: 7 });
  expect(run.decision).toEqual({ kind: "repeated", firstSeq: 3, lastSeq: 3 });
  run.op([completeStep("a", 2)], { opId: 7 }).thenRefuses("OP_CONFLICT");
  run.op([completeStep("b", 2)], { opId: 6 }).thenRefuses("OP_OUT_OF_ORDER");
});
test("a write under another lease or an old epoch is refused and changes nothing", () => {
  const run = given();
  const old = run.lease;
  run.when({ type: "EndLease", leaseId: old.leaseId, reason: "EXPIRED", uncounted: false }).granted();
  run.op([completeStep("a")], { opId: 0, lease: old }).thenRefuses("LEASE_LOST");
  run.op([completeStep("a")], { opId: 0, lease: { ...run.lease, leaseId: "x" } }).thenRefuses("LEASE_LOST");
  run.op([completeStep("a")], { opId: 1, lease: old });
  expect(run.decision).toEqual({ kind: "lookUp" });
});
test("all changes of an op happen or none", () => {
  const run = given().op([completeStep("a", 1)]);
  const before = structuredClone(run.state);
  run.op([completeStep("b"), completeStep("a", 2)]).thenRefuses("STEP_COMPLETED");
  expect(run.decision).toMatchObject({ field: "changes[1].step_key" });
  expect(run.state).toEqual(before);
  run.op([completeStep("b"), { type: "CompleteRun", output: json(1) }]);
  run.thenRecords("StepCompleted", "LeaseEnded", "RunCompleted").thenIs("COMPLETED");
});
test("a crash inside an at-most-once step pauses the run until somebody says what happened", () => {
  const run = given()
    .op([startStep("pay", { atMostOnce: true })])
    .sealed();
  run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: "EXPIRED", uncounted: false });
  run.thenRecords("LeaseEnded", "RunPaused").thenIs("PAUSED");
  run.when({ type: "ResumeRun", resolution: undefined }).thenRefuses("INVALID");
  run.when({ type: "ResumeRun", resolution: { kind: "complete", output: json("ok") } });
  run.thenRecords("StepCompleted", "RunResumed").thenIs("QUEUED");
});
test("RetryRun voids exactly the failures that ended the run", () => {
  const run = given().op([completeStep("a")]);
  run.op([{ ...failStep("b", 1, "Fatal"), retryPolicy: { maxAttempts: 1 } } as Change]).thenRecords("StepFailed");
  run.op([{ type: "SetTimer", stepKey: "s", delayMs: 1_000, signalName: "" }]);
  run.op([{ type: "FailRun", failure: { type: "Fatal", message: "m" }, failedSteps: ["b"] }]).thenIs("FAILED");
  run.when({ type: "RetryRun", reason: "", requestId: "q" }).thenRecords("RunReopened").thenIs("QUEUED");
  expect(run.state.steps.get("a")?.status).toBe("completed");
  expect(run.state.steps.has("b") && run.state.steps.get("b")?.status === "failed").toBe(false);
  expect(run.state.timers.has("s")).toBe(true);
  run.when({ type: "RetryRun", reason: "", requestId: "q" }).thenRecords();
});
