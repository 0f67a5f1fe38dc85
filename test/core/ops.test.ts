import { expect, test } from "vitest";
import { completeStep, json, Scenario, startStep } from "../support/given.ts";

// An op is known by its number and its content, also while its start waits for the end of its batch.

test("a start that waits for its batch is known by its op_id", () => {
  const run = new Scenario().granted().op([startStep("a")], { opId: 5 });
  run.op([startStep("b")], { opId: 5 }).thenRefuses("OP_CONFLICT");
  run.op([startStep("c")], { opId: 4 }).thenRefuses("OP_OUT_OF_ORDER");
  run.op([startStep("a")], { opId: 5 }).thenRecords();
  run.op([startStep("b")], { opId: 6 }).thenRecords();
  run
    .sealed()
    .op([startStep("d")], { opId: 6 })
    .thenRefuses("OP_CONFLICT");
});

test("an op is applied whole or not at all", () => {
  const run = new Scenario().granted();
  run.op([completeStep("a"), completeStep("b"), { type: "CancelTimer", stepKey: "none" }]).thenRefuses("INVALID");
  run.op([completeStep("a", 1), completeStep("a", 2)]).thenRefuses("STEP_COMPLETED");
  run.op([{ type: "CompleteRun", output: undefined }, completeStep("a")]).thenRefuses("INVALID");
  run.op([completeStep("a", 1), completeStep("a", 1)]).thenRecords("StepCompleted");
  run.op([completeStep("b"), completeStep("c")]).thenRecords("StepCompleted", "StepCompleted");
});

test("an op that is refused leaves no timer under a key that the server made", () => {
  const sleep = { type: "SetTimer", stepKey: "t", delayMs: 1_000, signalName: "" } as const;
  const policy = { backoff: "fixed", initialDelayMs: 500 } as const;
  const backOff = { type: "BackOff", stepKey: "b", retryCount: 1, retriesMax: 3, policy } as const;
  const run = new Scenario().granted().op([sleep], { opId: 5 });
  const before = structuredClone(run.state);
  run.op([completeStep("a"), backOff], { opId: 3 }).thenRefuses("OP_OUT_OF_ORDER");
  expect(run.state).toEqual(before);
});

test("an op that is refused leaves nothing of what its first changes would have used up", () => {
  const signal = { type: "SignalRun", name: "a", payload: json(1), requestId: "" } as const;
  const run = new Scenario().granted().when(signal).when({ type: "TakeSignal" });
  const before = structuredClone(run.state);
  run.op([completeStep("a"), { type: "CancelTimer", stepKey: "none" }], { opId: 1 }).thenRefuses("INVALID");
  expect(run.state).toEqual(before);
});
