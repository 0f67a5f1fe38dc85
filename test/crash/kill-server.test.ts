import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { killServer } from "./kill-server.ts";

function hasPython(): boolean {
  try {
    execFileSync("python3", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    if (process.env.CI === "true") throw new Error("python3 is missing: separate code has to read the file");
    return false;
  }
}

test.skipIf(!hasPython())(
  "three kills of the server under load lose nothing acknowledged (npm run torture: fifty)",
  async () => {
    const report = await killServer(3);
    expect(report.problems).toEqual([]);
    expect(report.acknowledged.step).toBeGreaterThan(10);
  },
  120_000,
);
