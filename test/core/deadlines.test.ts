import { expect, test } from "vitest";
import { deadlinesOf, rankOf } from "../../src/core/rows.ts";
import { completeStep, failStep, Scenario, startStep } from "../support/given.ts";

const kinds = (run: Scenario, inLine = true) => deadlinesOf(run.state, inLine).map(({ kind }) => kind);
const due = (kind: "timer" | "retry" | "runTimeout" | "stepTimeout" | "cancel", stepKey = "") =>
  ({ type: "DeadlineDue", kind, stepKey }) as const;

test("a step that takes longer than its timeout has failed an attempt, and whoever reports first is recorded", () => {
  const run = new Scenario()
    .granted()
    .op([startStep("slow", { timeoutMs: 500 })])
    .sealed();
  expect(kinds(run)).toEqual(["stepTimeout"]);
  run.after(499).when(due("stepTimeout", "slow")).thenRecords();
  run.after(1).when(due("stepTimeout", "slow")).thenRecords("StepAttemptFailed");
  run.op([completeStep("slow", 1, 1)]).thenRecords("StepCompleted");
  const first = new Scenario()
    .granted()
    .op([startStep("slow", { timeoutMs: 500 })])
    .sealed()
    .op([completeStep("slow")]);
  first.after(500).when(due("stepTimeout", "slow")).thenRecords();
});

test("the timeout of a step whose lease has ended means nothing", () => {
  const run = new Scenario()
    .granted()
    .op([startStep("slow", { timeoutMs: 500 })])
    .sealed();
  run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: "EXPIRED", uncounted: false });
  expect(kinds(run)).toEqual([]);
  run.after(500).when(due("stepTimeout", "slow")).thenRecords();
});

test("an attempt that was lost with its lease is no attempt: it starts again, with the whole of its time", () => {
  const once = { timeoutMs: 500, retryPolicy: { maxAttempts: 1 } };
  const run = new Scenario()
    .granted()
    .op([startStep("slow", once)])
    .sealed();
  run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: "EXPIRED", uncounted: false });
  run.after(2_000).granted();
  expect(kinds(run)).toEqual([]);
  run.when(due("stepTimeout", "slow")).thenRecords();
  run
    .after(100)
    .op([startStep("slow", { ...once, attempt: 1 })])
    .sealed();
  expect(deadlinesOf(run.state, true)).toMatchObject([{ kind: "stepTimeout", dueAtMs: run.nowMs + 500 }]);
  run.op([startStep("slow", { ...once, attempt: 1 })]).thenRecords();
  run.after(499).when(due("stepTimeout", "slow")).thenRecords();
  run.after(1).when(due("stepTimeout", "slow")).thenRecords("StepFailed");
});

test("a planned retry wakes the run that waits for it, at its instant, and survives a takeover", () => {
  const run = new Scenario().granted().op([{ ...failStep("a", 1), retryPolicy: { initialDelayMs: 20_000 } } as never]);
  const retryAtMs = run.state.steps.get("a")?.retryAtMs as number;
  expect(retryAtMs).toBe(run.nowMs + 20_000);
  run.op([{ type: "SuspendRun", awaits: [{ kind: "retry", stepKey: "a" }], noticesSeen: 0 }]).thenIs("WAITING");
  expect(deadlinesOf(run.state, false)).toEqual([{ kind: "retry", stepKey: "a", dueAtMs: retryAtMs }]);
  run.after(19_999).when(due("retry", "a")).thenRecords();
  run.after(1).when(due("retry", "a")).thenRecords("RetryDue").thenIs("QUEUED");
  run.granted();
  run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: "EXPIRED", uncounted: false });
  expect(run.state.steps.get("a")).toMatchObject({ status: "retrying", failedAttempt: 1, retryAtMs });
});

test("a run waits for the earliest of what it awaits", () => {
  const run = new Scenario({ runTimeoutMs: 90_000 }).granted().op([
    { type: "SetTimer", stepKey: "nap", delayMs: 1_000, signalName: "" },
    { type: "SetTimer", stepKey: "wait", delayMs: 2_000, signalName: "go" },
    {
      type: "SuspendRun",
      awaits: [
        { kind: "timer", stepKey: "nap" },
        { kind: "timer", stepKey: "wait" },
        { kind: "signal", name: "go" },
      ],
      noticesSeen: 0,
    },
  ]);
  expect(kinds(run)).toEqual(["timer", "timer", "runTimeout"]);
  run.after(1_000).when(due("timer", "nap")).thenRecords("TimerFired").thenIs("QUEUED");
  run.when(due("timer", "nap")).thenRecords();
});

test("a closed run has no deadlines", () => {
  const run = new Scenario({ runTimeoutMs: 1_000 })
    .granted()
    .op([{ type: "SetTimer", stepKey: "t", delayMs: 10, signalName: "" }]);
  run.op([{ type: "CompleteRun", output: undefined }]);
  expect(kinds(run)).toEqual([]);
  run.after(5_000).when(due("timer", "t")).thenRecords().when(due("runTimeout")).thenRecords();
});

test("a delayed start has a deadline until it is in its line; the rank ages", () => {
  const run = new Scenario({ startDelayMs: 5_000, priority: 0 });
  expect(deadlinesOf(run.state, false)).toEqual([{ kind: "available", stepKey: "", dueAtMs: run.nowMs + 5_000 }]);
  expect(kinds(run, true)).toEqual([]);
  const patient = new Scenario({ priority: 9 });
  const urgent = new Scenario({ priority: 0, startDelayMs: 9 * 60_000 + 1 });
  expect(rankOf(patient.state)).toBeLessThan(rankOf(urgent.state));
});
