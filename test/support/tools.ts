import { execFileSync } from "node:child_process";
import { test } from "vitest";

/** Whether the machine has a command; with CI=true it must. */
export function has(command: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" });
    return true;
  } catch {
    return process.env.CI === "true";
  }
}

/**
 * `test` for a proof that needs tools of the machine. Where one is missing the test is skipped and its name says so;
 * with CI=true it runs, and fails.
 */
export function testWith(...tools: string[]): typeof test {
  const missing = tools.filter((tool) => !has(tool));
  if (missing.length === 0) return test;
  const skipped = (name: string, ...rest: unknown[]) =>
    (test.skip as (...args: unknown[]) => void)(`${name} (skipped: no ${missing.join(", ")} here)`, ...rest);
  return skipped as unknown as typeof test;
}
