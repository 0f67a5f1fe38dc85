import { expect, test } from "vitest";
import type { Change } from "../../src/core/command.ts";
import { completeStep, failStep, json, Scenario, startStep, testLimits } from "../support/given.ts";

const cancel = { type: "CancelRun", reason: "", graceMs: 100 } as const;
const pause = { type: "PauseRun", reason: "lunch", graceMs: 50 } as const;
const resume = { type: "ResumeRun", resolution: undefined } as const;
const retry = { type: "RetryRun", reason: "", requestId: "" } as const;
const signal = (name: string) => ({ type: "SignalRun", name, payload: json(name), requestId: "" }) as const;
const failed = (run: Scenario, failedSteps: string[] = []) =>
  run.op([{ type: "FailRun", failure: { type: "Fatal", message: "m" }, failedSteps }]);
const failForGood = (stepKey: string): Change =>
  ({ ...failStep(stepKey, 1, "Fatal"), retryPolicy: { maxAttempts: 1 } }) as Change;
const waiting = () =>
  new Scenario().granted().op([{ type: "SuspendRun", awaits: [{ kind: "signal", name: "go" }], noticesSeen: 0 }]);
const inPay = () =>
  new Scenario()
    .granted()
    .op([startStep("pay", { atMostOnce: true })])
    .sealed();

test("nothing is asked of a closed run but what has happened already", () => {
  const run = new Scenario().granted().op([{ type: "CompleteRun", output: undefined }]);
  for (const command of [cancel, pause, resume, signal("x"), { type: "TerminateRun", reason: "" } as const]) {
    run.when(command).thenRefuses("RUN_CLOSED");
  }
  run.when(retry).thenRefuses("INVALID_STATE");
  new Scenario().when(cancel).when(cancel).thenRecords().thenIs("CANCELLED");
  const terminated = new Scenario().when({ type: "TerminateRun", reason: "" });
  terminated.when({ type: "TerminateRun", reason: "" }).thenRecords().thenIs("TERMINATED");
});

test("terminate ends the run at once and fences its holder", () => {
  const run = new Scenario().granted();
  const { lease } = run;
  run.when({ type: "TerminateRun", reason: "x" }).thenRecords("LeaseEnded", "RunTerminated");
  run.op([completeStep("a")], { opId: 0, lease }).thenRefuses("LEASE_LOST");
});

test("asked twice, a cancel keeps its first deadline", () => {
  const run = new Scenario().granted().when(cancel);
  const deadlineAtMs = run.state.cancel?.deadlineAtMs;
  run
    .after(50)
    .when({ ...cancel, graceMs: 9_999 })
    .thenRecords();
  expect(run.state.cancel?.deadlineAtMs).toBe(deadlineAtMs);
});

test("a cancel's deadline fires in every open status", () => {
  const due = { type: "DeadlineDue", kind: "cancel", stepKey: "" } as const;
  waiting().when(cancel).thenIs("QUEUED").after(100).when(due).thenIs("CANCELLED");
  const paused = waiting().when(pause).thenIs("PAUSED").when(cancel).thenIs("PAUSED");
  paused.when(due).thenRecords().after(100).when(due).thenIs("CANCELLED");
});

test("a worker ends a cancelled run itself only when it was cancelled", () => {
  new Scenario()
    .granted()
    .op([{ type: "CancelledRun" }])
    .thenRefuses("INVALID_STATE")
    .when(cancel)
    .op([{ type: "CancelledRun" }])
    .thenRecords("LeaseEnded", "RunCancelled");
});

test("a paused run takes signals and timers; resumed, it waits on or goes into the line", () => {
  waiting().when(pause).when(signal("other")).when(resume).thenIs("WAITING");
  waiting().when(pause).when(signal("go")).thenIs("PAUSED").when(resume).thenIs("QUEUED");
  new Scenario().when(pause).thenIs("PAUSED").when(resume).thenIs("QUEUED");
  waiting().when(resume).thenRecords();
});

test("a pause does not start a run before its time", () => {
  const run = new Scenario({ startDelayMs: 60_000 });
  const dueAtMs = run.state.availableAtMs;
  run.when(pause).when(resume).thenIs("QUEUED");
  expect(run.state.availableAtMs).toBe(dueAtMs);
  run.after(90_000).when(pause).after(1).when(resume);
  expect(run.state.availableAtMs).toBe(run.nowMs);
});

test("a leased run that is being paused starts nothing new, and ends what runs", () => {
  const run = new Scenario()
    .granted()
    .op([startStep("a")])
    .sealed()
    .when(pause);
  run.op([startStep("b")]).thenRefuses("RUN_PAUSED");
  run.op([completeStep("a")]).thenRecords("StepCompleted");
  // Its function ran when the pause came, its start was still on its way.
  run.op([completeStep("b")]).thenRecords("StepCompleted");
  run.when({ type: "ReleaseLease", lease: run.lease, retryAfterMs: 0 }).thenRecords("LeaseEnded", "RunPaused");
  expect(run.state.pauseText).toBe("lunch");
});

test("an at-most-once step that outlives the grace of a pause has to be resolved", () => {
  const run = inPay().when(pause).after(50);
  run.when({ type: "DeadlineDue", kind: "pause", stepKey: "" }).thenIs("PAUSED");
  expect(run.state.pauseReason).toBe("UNCERTAIN_EFFECT");
  run.when(resume).thenRefuses("INVALID");
  run.when({ type: "ResumeRun", resolution: { kind: "repeat" } }).thenRecords("StepAttemptFailed", "RunResumed");
  run
    .granted()
    .op([startStep("pay", { atMostOnce: true })])
    .sealed();
  expect(run.state.steps.get("pay")?.attempt).toBe(2);
});

test("each of two uncertain steps is resolved for itself", () => {
  const run = inPay()
    .op([startStep("ship", { atMostOnce: true })])
    .sealed();
  run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: "EXPIRED", uncounted: false }).thenIs("PAUSED");
  run.when({ type: "ResumeRun", resolution: { kind: "complete", output: json(1) } }).thenIs("PAUSED");
  run.when(resume).thenRefuses("INVALID");
  run.when({ type: "ResumeRun", resolution: { kind: "fail", failure: { type: "x", message: "" } } }).thenIs("QUEUED");
  expect(run.state.steps.get("pay")?.status).toBe("completed");
  expect(run.state.steps.get("ship")?.status).toBe("failed");
});

test("retry: a run that timed out inside an at-most-once step is set aside first", () => {
  const run = new Scenario({ runTimeoutMs: 1_000 })
    .granted()
    .op([startStep("pay", { atMostOnce: true })])
    .after(1_000);
  run.when({ type: "DeadlineDue", kind: "runTimeout", stepKey: "" });
  run.thenRecords("StepStarted", "LeaseEnded", "RunFailed");
  run.when(retry).thenRecords("RunReopened", "RunPaused").thenIs("PAUSED");
  run.when(resume).thenRefuses("INVALID");
});

test("retry: each time the run has its whole timeout again", () => {
  const run = new Scenario({ runTimeoutMs: 1_000 });
  for (let round = 0; round < 3; round++) {
    run.after(1_000).when({ type: "DeadlineDue", kind: "runTimeout", stepKey: "" }).thenIs("FAILED");
    expect(run.state.failure?.message).toContain("1000 ms");
    run.after(5_000).when(retry).thenIs("QUEUED");
    expect(run.state.timeoutAtMs).toBe(run.nowMs + 1_000);
  }
});

test("retry: results stay, the failures that ended it are void, caught ones stay", () => {
  const run = new Scenario()
    .granted()
    .op([completeStep("a")])
    .op([failForGood("caught")])
    .op([failForGood("fatal")]);
  failed(run, ["fatal"]).thenIs("FAILED");
  run.when({ type: "CancelRun", reason: "", graceMs: 1 }).thenRefuses("RUN_CLOSED");
  run.when(retry).thenIs("QUEUED");
  const statusOf = (key: string) => run.state.steps.get(key)?.status;
  expect([statusOf("a"), statusOf("caught"), statusOf("fatal")]).toEqual(["completed", "failed", undefined]);
  expect(run.state.deliveries).toBe(0);
  run
    .granted()
    .op([failStep("fatal", 1)])
    .thenRecords("StepAttemptFailed");
});

test("only failures that are in the history end a run with a name", () => {
  failed(new Scenario().granted().op([completeStep("a")]), ["a"]).thenRefuses("INVALID");
  failed(new Scenario().granted(), ["never"]).thenRefuses("INVALID");
});

test("open signals are bounded, and so is the history; the run can still end", () => {
  const run = new Scenario().granted();
  run.limits = { ...testLimits, openSignalsMax: 2, historyEventsMax: 6 };
  run.when(signal("a")).when(signal("b")).when(signal("c")).thenRefuses("HISTORY_LIMIT");
  run.op([completeStep("a")]).op([completeStep("b")]);
  expect(run.state.lastSeq).toBe(6);
  run.op([completeStep("c")]).thenRefuses("HISTORY_LIMIT");
  run.op([{ type: "SetTimer", stepKey: "t", delayMs: 1, signalName: "" }]).thenRefuses("HISTORY_LIMIT");
  failed(run).thenRecords("LeaseEnded", "RunFailed");
});

test("when only ten events are left the server closes the run", () => {
  const run = new Scenario();
  run.limits = { ...testLimits, historyEventsMax: 5, reservedEvents: 15, deliveriesMax: 100 };
  while (run.state.status === "QUEUED") {
    run.after(100_000).granted();
    if (run.state.lease === undefined) break;
    run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: "RELEASED", uncounted: false });
  }
  run.thenIs("FAILED");
  expect(run.state.failure?.type).toBe("HISTORY_LIMIT");
  expect(run.state.lastSeq).toBeLessThanOrEqual(20);
});

test("bytes count: a large output is refused before it is in", () => {
  const run = new Scenario().granted();
  run.limits = { ...testLimits, historyBytesMax: 1_000 };
  run.op([completeStep("big", "x".repeat(1_000))]).thenRefuses("HISTORY_LIMIT");
  run.op([completeStep("small", "x")]).thenRecords("StepCompleted");
});
