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
test("a wait that a suspend names has its signal in the commit that records it", () => {
  const run = given()
    .op([timer("w", 500, "go")])
    .op([suspend([{ kind: "signal", name: "go", stepKey: "w" }])])
    .thenIs("WAITING");
  run.when(signal("other")).thenRecords("SignalReceived").thenIs("WAITING");
  run.when(signal("go")).thenRecords("SignalReceived", "SignalConsumed").thenIs("QUEUED");
  const [received, consumed] = run.events.slice(-2);
  expect(consumed).toMatchObject({ stepKey: "w", epoch: 0, detail: { signalSeq: received?.seq, name: "go" } });
  expect([run.state.signals.map(({ name }) => name), run.state.timers.size, run.state.deliveries]).toEqual([
    ["other"],
    0,
    0,
  ]);
  run.when(signal("go")).thenRecords("SignalReceived").granted();
  run.op([consume("w", "go")]).thenRecords();
  run.op([consume("w2", "go")]).thenRecords("SignalConsumed");
});
test("of two waits for a name the first gets the signal, and one whose timer fired gets none", () => {
  const both = suspend([
    { kind: "signal", name: "go" },
    { kind: "signal", name: "go", stepKey: "w" },
    { kind: "signal", name: "go", stepKey: "w2" },
  ]);
  const run = given().op([both]).when(signal("go"));
  expect(run.events.at(-1)).toMatchObject({ type: "SignalConsumed", stepKey: "w" });
  const late = given()
    .op([timer("w", 500, "go")])
    .op([suspend([{ kind: "signal", name: "go", stepKey: "w" }])]);
  late.after(500).when({ type: "DeadlineDue", kind: "timer", stepKey: "w" }).thenRecords("TimerFired").thenIs("QUEUED");
  late.when(signal("go")).thenRecords("SignalReceived");
  expect(late.state.signals).toHaveLength(1);
});
test("a signal that a wait gets at once is not one too many", () => {
  const run = given().op([suspend([{ kind: "signal", name: "go", stepKey: "w" }])]);
  run.limits = { ...run.limits, openSignalsMax: 1 };
  run.when(signal("other")).when(signal("other")).thenRefuses("HISTORY_LIMIT");
  run.when(signal("go")).thenRecords("SignalReceived", "SignalConsumed");
});
test("a signal for a paused run is kept for the wait that its suspend named", () => {
  const run = given().op([suspend([{ kind: "signal", name: "go", stepKey: "w" }])]);
  run.when({ type: "PauseRun", reason: "", graceMs: 0 }).thenIs("PAUSED");
  run.when(signal("go")).thenRecords("SignalReceived").thenIs("PAUSED");
  run.when({ type: "ResumeRun", resolution: undefined }).thenIs("QUEUED");
  run
    .granted()
    .op([consume("w", "go")])
    .thenRecords("SignalConsumed");
});
test("a suspend on a wait that has its result is told so, one on another step's key is invalid", () => {
  const awaits = [{ kind: "signal", name: "go", stepKey: "w" }] as const;
  const fired = given().op([timer("w", 0, "go")]);
  fired.when({ type: "DeadlineDue", kind: "timer", stepKey: "w" }).thenRecords("TimerFired");
  fired.op([suspend(awaits)]).thenRefuses("NOTICES_PENDING");
  fired.op([suspend(awaits)], { onSession: false }).thenIs("QUEUED");
  given()
    .op([completeStep("w")])
    .op([suspend(awaits)])
    .thenRefuses("INVALID");
  given()
    .op([startStep("w")])
    .op([suspend([{ kind: "any" }, ...awaits])])
    .thenRefuses("INVALID");
  given()
    .op([timer("w", 500, "stop")])
    .op([suspend(awaits)])
    .thenRefuses("INVALID");
  given()
    .op([timer("w", 500, "go")])
    .op([{ type: "CancelTimer", stepKey: "w" }])
    .op([suspend(awaits)])
    .thenRefuses("INVALID");
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
