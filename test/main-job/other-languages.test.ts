import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Checkout } from "./checkout.ts";
import { MainJob } from "./main-job.ts";

// What the example makes of toolchains that are here and do not do their work.

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
function start(toolchains: { go?: string; python3?: string }): { job: MainJob; folder: string } {
  const checkout = new Checkout(toolchains);
  cleanups.push(() => checkout.remove());
  const job = new MainJob({ checkout: checkout.root, environment: checkout.environment });
  cleanups.push(() => job.end());
  return { job, folder: checkout.root };
}
/** A Python that is fit for the SDK, and whose venv does this. */
const pythonWhoseVenv = (does: string) => `case "$1" in -c) exit 0 ;; esac\n${does}`;
/** go build -o FILE . */
const goThatBuilds = (worker: string) => `printf '#!/bin/sh\\n${worker}\\n' > "$3" && chmod +x "$3"`;

test("a worker that cannot be built is told with its reason, and is no failure of the order", async () => {
  const { job } = start({ python3: pythonWhoseVenv('echo "  ERROR: no ensurepip here\nnote: ask somebody"; exit 1') });
  expect(await job.exitCode()).toBe(0);
  const [, why] = await job.line(/^ {2}-- {5}without Python: its worker cannot be built here: (.*)$/);
  expect(why).toBe("ERROR: no ensurepip here");
  expect(job.lines.join("\n")).not.toMatch(/every language/);
  expect(job.lines).toContain("all of it went as told, but without Python");
  expect(await job.errors()).toBe("");
});

test("a worker that was built and does not come is a failure", async () => {
  const { job } = start({ go: goThatBuilds("exit 3") });
  expect(await job.exitCode()).toBe(1);
  expect(job.lines).toContain("  FAILED the worker in Go came: it ended with code 3 before it was ready");
  expect(job.lines).toContain("1 of the above went otherwise");
});

test("a build ends with the example, whoever ends it", async () => {
  const { job, folder } = start({
    python3: pythonWhoseVenv(
      'echo $$ > "$CHECKOUT/writing"; mv "$CHECKOUT/writing" "$CHECKOUT/pid"; exec tail -f /dev/null',
    ),
  });
  const pidFile = join(folder, "pid");
  await expect.poll(() => existsSync(pidFile), { timeout: 20_000 }).toBe(true);
  const pid = Number(readFileSync(pidFile, "utf8"));
  cleanups.push(() => isAlive(pid) && process.kill(pid, "SIGKILL"));
  await job.line(/step started\s+pack/);
  job.signal("SIGTERM");
  expect(await job.exitCode()).toBe(143);
  expect({ build: isAlive(pid), inCache: readdirSync(join(folder, ".cache")) }).toEqual({
    build: false,
    inCache: ["examples"],
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
