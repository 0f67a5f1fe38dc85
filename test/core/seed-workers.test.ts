import { expect, test } from "vitest";
import type { Change } from "../../src/core/command.ts";
import type { EventTypeName } from "../../src/core/event.ts";
import { completeStep, failStep, json, Scenario, startStep } from "../support/given.ts";

// What the workers of the seed's interface ask for: signals without a step, timers without a lease, a suspend that
// names nothing, a back-off that is one commit.

const given = () => new Scenario().granted();
const signal = (name: string) => ({ type: "SignalRun", name, payload: json(name), requestId: "" }) as const;
const take = { type: "TakeSignal" } as const;
const waiting: Change = { type: "SuspendRun", awaits: [{ kind: "any" }], noticesSeen: 0 };
const end = (run: Scenario) =>
  run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: "EXPIRED", uncounted: false });
const names = (run: Scenario) => run.state.signals.map(({ name }) => name);
const backOff = (retryCount: number, more: Partial<Change & { type: "BackOff" }> = {}): Change => ({
  type: "BackOff",
  stepKey: "1",
  retryCount,
  retriesMax: 3,
  policy: { backoff: "exponential", initialDelayMs: 1_000, maxDelayMs: 3_000, factor: 2 },
  ...more,
});

test("a taken signal is reserved for the lease and consumed by its next result", () => {
  for (const [result, ...types] of [
    [completeStep("1"), "SignalConsumed", "StepCompleted"],
    [waiting, "SignalConsumed", "RunSuspended", "LeaseEnded"],
    [{ type: "CompleteRun", output: undefined }, "SignalConsumed", "LeaseEnded", "RunCompleted"],
    [
      { type: "FailRun", failure: { type: "x", message: "" }, failedSteps: [] },
      "SignalConsumed",
      "LeaseEnded",
      "RunFailed",
    ],
  ] as [Change, ...EventTypeName[]][]) {
    const run = given().when(signal("a")).when(signal("b")).when(take).thenRecords("SignalReserved");
    expect(names(run)).toEqual(["b"]);
    run.op([result], { onSession: false }).thenRecords(...types);
    expect(names(run)).toEqual(["b"]);
    expect(run.state.reservedSignals).toEqual([]);
  }
});

test("a lease that ends without a result gives its signals back, at their old place", () => {
  const run = given().when(signal("a")).when(signal("b")).when(take).when(signal("c"));
  expect(names(end(run))).toEqual(["a", "b", "c"]);
  run
    .granted()
    .when(take)
    .when(take)
    .op([backOff(1)], { onSession: false });
  expect(names(run.thenIs("WAITING"))).toEqual(["a", "b", "c"]);
});

test("a back-off ends the lease, so a pause that waited for that is there", () => {
  const run = given().when({ type: "PauseRun", reason: "later", graceMs: 30_000 });
  run
    .op([backOff(1)], { onSession: false })
    .thenRecords("StepAttemptFailed", "TimerSet", "RunSuspended", "LeaseEnded", "RunPaused")
    .thenIs("PAUSED");
  run.when({ type: "ResumeRun", resolution: undefined }).thenIs("WAITING");
});

test("a failed attempt is no result: the signal stays reserved", () => {
  const run = given()
    .when(signal("a"))
    .when(take)
    .op([failStep("1", 1)])
    .thenRecords("StepAttemptFailed");
  expect(run.state.reservedSignals).toHaveLength(1);
});

test("without a lease a taken signal is consumed at once; none open is a refusal", () => {
  const run = new Scenario().when(signal("a")).when(take).thenRecords("SignalConsumed");
  run.when(take).thenRefuses("NO_SIGNAL");
  expect(run.state.stepsCompleted).toBe(0);
});

test("who waits for anything is woken by the next signal or timer, or put back when one came since the grant", () => {
  given().op([waiting]).thenIs("WAITING").when(signal("x")).thenIs("QUEUED");
  const timed = given().op([waiting]).when({ type: "AddTimer", firesAtMs: 1_000_500 }).thenIs("WAITING");
  const [key] = timed.state.timers.keys();
  timed
    .after(500)
    .when({ type: "DeadlineDue", kind: "timer", stepKey: key as string })
    .thenIs("QUEUED");
  given().when(signal("x")).op([waiting], { onSession: false }).thenIs("QUEUED");
  // What came before the grant was there to be taken: it wakes nobody again.
  const before = new Scenario().when(signal("x")).granted();
  before.op([waiting], { onSession: false }).thenIs("WAITING");
  // In the middle of a step, too.
  given()
    .op([startStep("1")])
    .sealed()
    .op([waiting])
    .thenIs("WAITING");
});

test("a back-off records the attempt, sets its timer and gives the lease up, in one commit", () => {
  const run = given().op([backOff(1)], { onSession: false });
  run.thenRecords("StepAttemptFailed", "TimerSet", "RunSuspended", "LeaseEnded").thenIs("WAITING");
  run.when(signal("early")).thenIs("WAITING");
  const [[key, timer]] = run.state.timers as unknown as [[string, { firesAtMs: number }]];
  expect(timer.firesAtMs - run.nowMs).toBe(1_000);
  run.after(1_000).when({ type: "DeadlineDue", kind: "timer", stepKey: key }).thenIs("QUEUED");
});

test("the history counts retries even when the worker does not, and a recorded failure is counted once", () => {
  const run = given();
  const delays: number[] = [];
  for (let round = 0; round < 3; round++) {
    run.op([failStep("1", round + 1)]).thenRecords("StepAttemptFailed");
    run.op([backOff(0)], { onSession: false }).thenRecords("TimerSet", "RunSuspended", "LeaseEnded");
    const [[key, timer]] = [...run.state.timers] as unknown as [[string, { firesAtMs: number }]];
    delays.push(timer.firesAtMs - run.nowMs);
    run.after(5_000).when({ type: "DeadlineDue", kind: "timer", stepKey: key }).granted();
  }
  expect(delays).toEqual([1_000, 2_000, 3_000]);
  run
    .op([backOff(0)], { onSession: false })
    .thenRecords()
    .thenIs("RUNNING");
  expect(run.decision).toMatchObject({ notes: [{ kind: "exhausted" }] });
  given()
    .op([backOff(4)], { onSession: false })
    .thenRecords()
    .thenIs("RUNNING");
});

test("the input of a step is kept, also when start and completion come together", () => {
  const run = given().op([startStep("1", { input: json("in") }), completeStep("1")]);
  run.thenRecords("StepStarted", "StepCompleted");
  expect(run.events.at(-2)?.payload).toEqual(json("in"));
});
