// The Python SDK's own checks: ruff, mypy and pytest, in a virtual environment that is made here.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { hasPython, pythonEnvironment } from "./python-environment.ts";

export function checkPython(root: string): { passed: number; failed: number } {
  if (!hasPython()) {
    console.log("-- python: SKIPPED, no python3 of 3.11 or newer is installed");
    return { passed: 0, failed: process.env.CI === "true" ? 1 : 0 };
  }
  let python: string;
  try {
    python = pythonEnvironment(root);
  } catch (error) {
    console.log(`-- python: FAILED, its environment cannot be made: ${(error as Error).message}`);
    return { passed: 0, failed: 1 };
  }
  const outcome = { passed: 0, failed: 0 };
  const parts: [string, string[]][] = [
    ["format", ["ruff", "format", "--check", "."]],
    ["lint", ["ruff", "check", "."]],
    ["types", ["mypy"]],
    ["tests", ["pytest"]],
  ];
  for (const [name, args] of parts) {
    const startedAt = performance.now();
    const { status, stdout, stderr } = spawnSync(python, ["-m", ...args], {
      cwd: join(root, "clients", "python"),
      encoding: "utf8",
    });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(`-- python ${name}: ${status === 0 ? "ok" : "FAILED"} in ${seconds} s`);
    if (status !== 0) console.log(stdout + stderr);
    const count = (word: string): number => Number(new RegExp(`(\\d+) ${word}`).exec(stdout)?.[1] ?? 0);
    if (name === "tests" && count("skipped") > 0) console.log(`-- python tests: ${count("skipped")} SKIPPED`);
    outcome.passed += name === "tests" ? count("passed") : Number(status === 0);
    outcome.failed += status === 0 ? 0 : Math.max(1, name === "tests" ? count("failed") : 1);
  }
  return outcome;
}
