import { expect, test } from "vitest";
import type { LeaseEndReason } from "../../src/core/event.ts";
import { completeStep, failStep, Scenario, startStep, testLimits } from "../support/given.ts";

const end = (run: Scenario, reason: LeaseEndReason, uncounted = false) =>
  run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason, uncounted });
const grant = { type: "Grant", leaseId: "other", ttlMs: 1_000, workerId: "w", instanceId: "", requestId: "" } as const;

test("each grant has the next epoch; a run that is leased or not available is not granted", () => {
  const run = new Scenario().granted();
  expect(run.state.epoch).toBe(1);
  run.when(grant).thenRefuses("INVALID_STATE");
  end(run, "RELEASED").granted();
  expect(run.state.epoch).toBe(2);
  new Scenario({ startDelayMs: 5 }).when(grant).thenRefuses("INVALID_STATE").after(5).when(grant).thenIs("RUNNING");
});

test("a lease is ended once, and only by its own name", () => {
  const run = new Scenario().granted();
  const first = run.lease.leaseId;
  end(run, "EXPIRED").thenRecords("LeaseEnded").thenIs("QUEUED");
  run.granted().when({ type: "EndLease", leaseId: first, reason: "EXPIRED", uncounted: false });
  run.thenRecords().thenIs("RUNNING");
});

test("the first expiry puts the run back at once, later ones later; progress starts anew", () => {
  const run = new Scenario();
  const waits: number[] = [];
  for (let expiry = 0; expiry < 9; expiry++) {
    run.after(100_000).granted();
    end(run, "EXPIRED");
    waits.push(run.state.availableAtMs - run.nowMs);
  }
  expect(waits).toEqual([0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  run
    .after(100_000)
    .granted()
    .op([completeStep("a")]);
  end(run, "EXPIRED");
  expect(run.state.availableAtMs).toBe(run.nowMs);
});

test("a release may ask for a pause before the next grant", () => {
  const run = new Scenario().granted();
  run.when({ type: "ReleaseLease", lease: run.lease, retryAfterMs: 700 }).thenRecords("LeaseEnded").thenIs("QUEUED");
  expect(run.state.availableAtMs).toBe(run.nowMs + 700);
  run.when({ type: "ReleaseLease", lease: run.lease, retryAfterMs: 0 }).thenRefuses("LEASE_LOST");
});

test("grants that no worker can be blamed for do not count in the delivery budget", () => {
  const run = new Scenario();
  for (const reason of ["UNDELIVERED", "UNACCEPTED", "RESTART"] as const) {
    for (let i = 0; i < 20; i++) end(run.granted(), reason, true);
  }
  run.thenIs("QUEUED");
  expect(run.state.deliveries).toBe(0);
  for (let i = 0; i < 9; i++) end(run.granted(), "UNACCEPTED");
  run.thenIs("QUEUED");
  end(run.granted(), "UNACCEPTED").thenRecords("LeaseEnded", "RunPaused").thenIs("PAUSED");
});

test("a step result is progress, a failed attempt is none, a suspend is one when it waits", () => {
  const run = new Scenario().granted();
  end(run, "RELEASED")
    .granted()
    .op([failStep("a", 1)]);
  expect(run.state.deliveries).toBe(2);
  run.op([completeStep("a", 1, 2)]);
  expect(run.state.deliveries).toBe(0);
  end(run, "RELEASED").granted();
  expect(run.state.deliveries).toBe(1);
  run.op([
    { type: "SetTimer", stepKey: "t", delayMs: 1, signalName: "" },
    { type: "SuspendRun", awaits: [{ kind: "timer", stepKey: "t" }], noticesSeen: 0 },
  ]);
  expect(run.thenIs("WAITING").state.deliveries).toBe(0);
});

test("a pending cancel turns a spent budget and an uncertain step into the end of the run", () => {
  const run = new Scenario();
  run.limits = { ...testLimits, deliveriesMax: 1 };
  run.granted().when({ type: "CancelRun", reason: "no", graceMs: 1_000 });
  end(run, "EXPIRED").thenRecords("LeaseEnded", "RunCancelled").thenIs("CANCELLED");
  const uncertain = new Scenario()
    .granted()
    .op([startStep("pay", { atMostOnce: true })])
    .sealed();
  uncertain.when({ type: "CancelRun", reason: "", graceMs: 1_000 });
  end(uncertain, "EXPIRED").thenRecords("LeaseEnded", "RunCancelled");
});

test("a longer time is recorded, a shorter one is not", () => {
  const run = new Scenario().granted();
  run.when({ type: "ExtendLease", lease: run.lease, ttlMs: 60_000 }).thenRecords("LeaseExtended");
  run.when({ type: "ExtendLease", lease: run.lease, ttlMs: 50_000 }).thenRecords();
  expect(run.state.lease?.ttlMs).toBe(60_000);
  run.when({ type: "ExtendLease", lease: { ...run.lease, epoch: 9 }, ttlMs: 70_000 }).thenRefuses("LEASE_LOST");
});

test("a start that waits for its batch is recorded before its lease is ended", () => {
  const run = new Scenario().granted().op([startStep("pay", { atMostOnce: true })]);
  end(run, "EXPIRED").thenRecords("StepStarted", "LeaseEnded", "RunPaused");
  run.when({ type: "ResumeRun", resolution: undefined }).thenRefuses("INVALID");
});
