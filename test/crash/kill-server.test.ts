import { expect } from "vitest";
import { testWith } from "../support/tools.ts";
import { killServer } from "./kill-server.ts";

testWith("python3")(
  "three kills of the server under load lose nothing acknowledged (npm run torture -- R1: a thousand)",
  async () => {
    const outcome = await killServer.run(3);
    expect(outcome.violations).toEqual([]);
    expect(outcome.fired).toBe(3);
    expect(outcome.figures?.acknowledged).toBeGreaterThan(10);
  },
  120_000,
);
