import { describe, expect, test } from "vitest";
import type { Result } from "../../bench/result.ts";
import { scenarios } from "../../bench/scenarios.ts";

// A guard against regressions that nobody meant: ratios of one run, never absolute times, each with so wide a margin
// that a loaded machine does not trip it. What is compared alternates, and the best round counts: a neighbour's burst
// can make one side of a round look bad, a regression makes all of them bad.

const rounds = 3;
const parameters = {
  inFlight: 256,
  seconds: 0.8,
  warmUpSeconds: 0.7,
  like: "core",
  language: "typescript",
  runsMax: 1_000,
  peer: "",
};

async function rateOf(name: "core" | "raw" | "step"): Promise<Result> {
  const [result] = (await scenarios[name](parameters)) as [Result];
  return result;
}

describe("speed keeps its proportions", () => {
  test("the engine to SQLite alone, and the stream to the engine", { timeout: 60_000 }, async () => {
    let coreToRaw = 0;
    let stepToCore = 0;
    for (let round = 0; round < rounds && (coreToRaw < coreFloor || stepToCore < stepFloor); round++) {
      const core = await rateOf("core");
      const raw = await rateOf("raw");
      const step = await rateOf("step");
      expect(core.opsPerSecond).toBeGreaterThan(0);
      coreToRaw = Math.max(coreToRaw, core.opsPerSecond / raw.opsPerSecond);
      stepToCore = Math.max(stepToCore, step.opsPerSecond / core.opsPerSecond);
    }
    expect(coreToRaw, "core to raw").toBeGreaterThan(coreFloor);
    expect(stepToCore, "step to core").toBeGreaterThan(stepFloor);
  });
});

/** Measured on a quiet machine: see bench/README.md. Half of that and less is a regression, not a neighbour. */
const coreFloor = 0.25;
const stepFloor = 0.15;
