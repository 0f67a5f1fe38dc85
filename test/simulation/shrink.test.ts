import { expect, test } from "vitest";
import { type Choice, type Plan, planOf } from "./plan.ts";
import { kindOf, shrink } from "./shrink.ts";

const choices = Array.from({ length: 20 }, (_, run): Choice => ({ kind: "get", atMs: run, run }));
const plan: Plan = { ...planOf(1), choices };
const has = ({ choices: left }: Plan, ...runs: number[]): boolean =>
  runs.every((run) => left.some((choice) => choice.atMs === run));
const runsOf = ({ choices: left }: Plan): number[] => left.map((choice) => choice.atMs);

test("what is left is what the failure needs", async () => {
  const small = await shrink(plan, "I5 epoch 3", async (tried) => (has(tried, 4, 17) ? "I5 no lease" : undefined));
  expect(runsOf(small)).toEqual([4, 17]);
});

test("another failure does not take the place of the one that was found", async () => {
  // Without choice 3 the world breaks something else, and does so to the last choice.
  const trial = async (tried: Plan) => (has(tried, 3, 9) ? "I1 run-1 is gone" : "I12 run-2 has not ended");
  expect(runsOf(await shrink(plan, "I1 run-7 lost events", trial))).toEqual([3, 9]);
});

test("a failure is known by its invariant or its first words, whatever ids it names", () => {
  expect(kindOf("I1 run-1 is gone")).not.toBe(kindOf("I12 run-1 has not ended"));
  expect(kindOf("I1")).toBe("I1");
  expect(kindOf("on SQLite the trace is 77ab")).toBe(kindOf("on SQLite the trace is 1c"));
  expect(kindOf("a process died: TypeError: x")).not.toBe(kindOf("the server logs: x"));
  expect(kindOf("worker-2 is told assign before its Welcome")).toBe(kindOf("worker-11 is told revoke"));
});
