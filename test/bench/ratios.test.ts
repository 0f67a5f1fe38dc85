import { describe, expect, test } from "vitest";
import type { Result } from "../../bench/result.ts";
import { scenarios } from "../../bench/scenarios.ts";

// A guard against regressions that nobody meant: ratios of one run, never absolute times, each with so wide a margin
// that a loaded machine does not trip it. What is compared alternates, and the best round counts: a neighbour's burst
// can make one side of a round look bad, a regression makes all of them bad. Each round is longer than the one before,
// because a machine may be so loaded that nothing is done in a second.

const rounds = 4;
const parameters = {
  inFlight: 256,
  seconds: 0.8,
  warmUpSeconds: 0.7,
  like: "core",
  language: "typescript",
  runsMax: 1_000,
  peer: "",
};

async function rateOf(name: "core" | "raw" | "step", round: number): Promise<number> {
  const seconds = parameters.seconds * (round + 1);
  const warmUpSeconds = parameters.warmUpSeconds * (round + 1);
  const [result] = (await scenarios[name]({ ...parameters, seconds, warmUpSeconds })) as [Result];
  return result.opsPerSecond;
}
function ratio(over: number, under: number): number {
  return under > 0 ? over / under : 0;
}

describe("speed keeps its proportions", () => {
  test("the engine to SQLite alone, and the stream to the engine", { timeout: 180_000 }, async () => {
    let coreToRaw = 0;
    let stepToCore = 0;
    for (let round = 0; round < rounds && (coreToRaw < coreFloor || stepToCore < stepFloor); round++) {
      const core = await rateOf("core", round);
      const raw = await rateOf("raw", round);
      const step = await rateOf("step", round);
      coreToRaw = Math.max(coreToRaw, ratio(core, raw));
      stepToCore = Math.max(stepToCore, ratio(step, core));
    }
    expect(coreToRaw, "core to raw").toBeGreaterThan(coreFloor);
    expect(stepToCore, "step to core").toBeGreaterThan(stepFloor);
  });
});

/** Measured on a quiet machine: see bench/README.md. Half of that and less is a regression, not a neighbour. */
const coreFloor = 0.25;
const stepFloor = 0.15;
