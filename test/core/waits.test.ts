import { expect, test } from "vitest";
import type { Change } from "../../src/core/command.ts";
import { completeStep, json, Scenario, startStep } from "../support/given.ts";

const given = () => new Scenario().granted();
const timer = (stepKey: string, delayMs: number, signalName = ""): Change => ({
  type: "SetTimer",
  stepKey,
  delayMs,
  signalName,
});
const consume = (stepKey: string, name: string): Change => ({ type: "ConsumeSignal", stepKey, name });
const suspend = (awaits: (Change & { type: "SuspendRun" })["awaits"], noticesSeen = 0): Change => ({
  type: "SuspendRun",
  awaits,
  noticesSeen,
});
const signal = (name: string, requestId = "") => ({ type: "SignalRun", name, payload: json(name), requestId }) as const;

test("a sleep suspends the run, its timer wakes it", () => {
  const run = given()
    .op([timer("nap", 500)])
    .op([suspend([{ kind: "timer", stepKey: "nap" }])])
    .thenIs("WAITING");
  run.when({ type: "DeadlineDue", kind: "timer", stepKey: "nap" }).thenRecords().thenIs("WAITING");
  run
    .after(500)
    .when({ type: "DeadlineDue", kind: "timer", stepKey: "nap" })
    .thenRecords("TimerFired")
    .thenIs("QUEUED");
  run.granted().thenIs("RUNNING");
  expect(run.state.deliveries).toBe(1);
});
test("a signal wakes its waiter in the same commit and is consumed once", () => {
  const run = given()
    .op([suspend([{ kind: "signal", name: "go" }])])
    .thenIs("WAITING");
  run.when(signal("other")).thenIs("WAITING");
  run.when(signal("go")).thenRecords("SignalReceived").thenIs("QUEUED");
  run
    .granted()
    .op([consume("wait", "go")])
    .thenRecords("SignalConsumed");
  run.op([consume("wait2", "go")]).thenRefuses("NO_SIGNAL");
  run.op([consume("wait", "go")]).thenRecords();
});
test("a suspend with something pending is refused on a session, and put back into the line for unary workers", () => {
  const run = given().when(signal("go"));
  run.op([suspend([{ kind: "signal", name: "go" }])]).thenRefuses("NOTICES_PENDING");
  run.op([suspend([{ kind: "signal", name: "go" }])], { onSession: false }).thenIs("QUEUED");
});
test("a wait has one result: signal or timeout, whichever came first", () => {
  const run = given()
    .op([timer("w", 500, "go")])
    .op([consume("w", "go")])
    .thenRefuses("NO_SIGNAL");
  run.after(500).when({ type: "DeadlineDue", kind: "timer", stepKey: "w" }).thenRecords("TimerFired");
  run
    .when(signal("go"))
    .op([consume("w", "go")])
    .thenRefuses("WAIT_TIMED_OUT");
  expect(run.state.signals).toHaveLength(1);
});
test("consuming the signal cancels the wait's timer in the same commit", () => {
  const run = given()
    .op([timer("w", 500, "go")])
    .when(signal("go"))
    .op([consume("w", "go")]);
  expect(run.state.timers.size).toBe(0);
  run.after(500).when({ type: "DeadlineDue", kind: "timer", stepKey: "w" }).thenRecords();
});
test("a suspend that awaits nothing or something unknown is invalid", () => {
  given()
    .op([suspend([])])
    .thenRefuses("INVALID");
  given()
    .op([suspend([{ kind: "timer", stepKey: "x" }])])
    .thenRefuses("INVALID");
});
test("the same request_id gives the same signal", () => {
  const run = given().when(signal("go", "q1")).thenRecords("SignalReceived").when(signal("go", "q1")).thenRecords();
  expect(run.state.signals).toHaveLength(1);
});
test("a run that nobody ever had is cancelled at once; a leased one is told and has its grace", () => {
  new Scenario().when({ type: "CancelRun", reason: "", graceMs: 10 }).thenIs("CANCELLED");
  const run = given().when({ type: "CancelRun", reason: "", graceMs: 100 }).thenIs("RUNNING");
  run.op([completeStep("cleanup")]).thenRecords("StepCompleted");
  run.when({ type: "DeadlineDue", kind: "cancel", stepKey: "" }).thenRecords();
  run.after(100).when({ type: "DeadlineDue", kind: "cancel", stepKey: "" });
  run.thenRecords("LeaseEnded", "RunCancelled").thenIs("CANCELLED");
});
test("a waiting run with a cancel goes to a worker, which gets the whole grace from then on", () => {
  const run = given().op([suspend([{ kind: "signal", name: "go" }])]);
  run.when({ type: "CancelRun", reason: "", graceMs: 100 }).thenIs("QUEUED").after(60);
  run.granted().thenRecords("CancelDelivered", "LeaseGranted");
  expect(run.state.cancel?.deadlineAtMs).toBe(run.nowMs + 100);
});
test("pause lets a leased run go on within the grace, resume puts it where it was", () => {
  const run = given().when({ type: "PauseRun", reason: "", graceMs: 50 }).thenRecords("PauseRequested").after(50);
  run.when({ type: "DeadlineDue", kind: "pause", stepKey: "" }).thenRecords("LeaseEnded", "RunPaused").thenIs("PAUSED");
  run.when({ type: "ResumeRun", resolution: undefined }).thenIs("QUEUED");
});
test("ten grants without progress set the run aside", () => {
  const run = new Scenario();
  for (let i = 0; i < 10; i++) {
    run.after(100_000).granted();
    run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: "EXPIRED", uncounted: false });
  }
  run.thenIs("PAUSED");
  expect(run.state.pauseReason).toBe("DELIVERY_BUDGET");
  run.when({ type: "ResumeRun", resolution: undefined }).thenIs("QUEUED");
  expect(run.state.deliveries).toBe(0);
});
test("a run timeout ends the run wherever it is", () => {
  const run = new Scenario({ runTimeoutMs: 1_000 }).granted().after(1_000);
  run.when({ type: "DeadlineDue", kind: "runTimeout", stepKey: "" }).thenRecords("LeaseEnded", "RunFailed");
});
test("a step that was started a moment ago keeps its key, although its start is not in the history yet", () => {
  const run = given()
    .when(signal("go"))
    .op([startStep("b", { atMostOnce: true })]);
  run.op([consume("b", "go")]).thenRefuses("STEP_KIND_MISMATCH");
  run.op([timer("b", 500)]).thenRefuses("STEP_KIND_MISMATCH");
});
