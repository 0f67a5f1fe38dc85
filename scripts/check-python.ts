// The Python SDK's own checks: ruff, mypy and pytest, in a virtual environment that is made here.
import { join } from "node:path";
import type { Outcome } from "./check-go.ts";
import { collect } from "./collect.ts";
import { hasPython } from "./python-environment.ts";

export async function checkPython(root: string): Promise<Outcome> {
  if (!hasPython()) {
    console.log("-- python: SKIPPED, no python3 of 3.11 or newer is installed");
    return { passed: 0, failed: process.env.CI === "true" ? 1 : 0 };
  }
  const environment = await collect(root, [process.execPath, "scripts/python-environment.ts"]);
  if (environment.status !== 0) {
    console.log(`-- python: FAILED, its environment cannot be made: ${environment.stderr}`);
    return { passed: 0, failed: 1 };
  }
  const python = environment.stdout.trim();
  const outcome = { passed: 0, failed: 0 };
  const parts: [string, string[]][] = [
    ["format", ["ruff", "format", "--check", "."]],
    ["lint", ["ruff", "check", "."]],
    ["types", ["mypy"]],
    ["tests", ["pytest"]],
  ];
  for (const [name, args] of parts) {
    const folder = join(root, "clients", "python");
    const { status, stdout, stderr, seconds } = await collect(folder, [python, "-m", ...args]);
    console.log(`-- python ${name}: ${status === 0 ? "ok" : "FAILED"} in ${seconds.toFixed(1)} s`);
    if (status !== 0) console.log(stdout + stderr);
    const count = (word: string): number => Number(new RegExp(`(\\d+) ${word}`).exec(stdout)?.[1] ?? 0);
    if (name === "tests" && count("skipped") > 0) console.log(`-- python tests: ${count("skipped")} SKIPPED`);
    outcome.passed += name === "tests" ? count("passed") : Number(status === 0);
    outcome.failed += status === 0 ? 0 : Math.max(1, name === "tests" ? count("failed") : 1);
  }
  return outcome;
}
