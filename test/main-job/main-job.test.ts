import { execFile } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeAll, expect, test } from "vitest";
import { Client } from "../../clients/typescript/src/index.ts";
import { hasPython, pythonEnvironment } from "../../scripts/python-environment.ts";
import { goEnvironment } from "../support/go-module.ts";
import { has } from "../support/tools.ts";
import { MainJob, type MainJobOptions, root } from "./main-job.ts";

// `npm start -- --once`, the first thing that anybody runs: its timeline, its exit code, and what it leaves behind.

const hasGo = has("go");

// A first build takes longer than the job waits for it.
beforeAll(async () => {
  if (hasPython()) pythonEnvironment(root);
  if (!hasGo) return;
  const goWorker = join(root, "examples", "order", "go-worker");
  await promisify(execFile)("go", ["build", "-o", "/dev/null", "."], { cwd: goWorker, env: goEnvironment });
}, 240_000);

const jobs: MainJob[] = [];
function start(options?: MainJobOptions): MainJob {
  const job = new MainJob(options);
  jobs.push(job);
  return job;
}
afterEach(async () => {
  await Promise.all(jobs.splice(0).map((job) => job.end()));
});

/** The server's own history as it was printed: seconds, number, and the rest with single spaces. */
function timelineOf(job: MainJob): { atSeconds: number; what: string }[] {
  return job.lines.flatMap((line) => {
    const match = /^\s*(\d+\.\d{3})s\s+\d+\s+(.+)$/.exec(line);
    return match === null ? [] : [{ atSeconds: Number(match[1]), what: (match[2] as string).replace(/\s+/g, " ") }];
  });
}

/** An outsider ends the run that the job carries through. */
async function terminateFromOutside(job: MainJob): Promise<void> {
  const [, url] = await job.line(/^Everstep serves \S+ at (\S+)$/);
  const [, runId] = await job.line(/^run (\S+): /);
  await job.line(/step started\s+pack/);
  // Not by the CLI: on a busy machine the order may be through before another Node has started.
  const client = new Client({ address: url as string });
  await client.terminate(runId as string);
  client.close();
}

test(`an order goes through as told, although its worker is killed in the middle${hasGo ? "" : " (no go here: nobody shares the queue)"}`, async () => {
  const job = start();
  expect(await job.exitCode()).toBe(0);
  const timeline = timelineOf(job);
  const events = timeline.map(({ what }) => what);
  const [, killed, next] = await job.line(/worker (\d+) was killed with SIGKILL; worker (\d+) is starting/);
  const order = (...patterns: RegExp[]) => {
    let from = 0;
    for (const pattern of patterns) {
      const at = events.findIndex((event, i) => i >= from && pattern.test(event));
      expect(at, `${pattern} from line ${from} on in\n${events.join("\n")}`).toBeGreaterThanOrEqual(from);
      from = at + 1;
    }
  };
  order(
    /^run created /,
    new RegExp(`^lease granted by worker-${killed}, epoch 1$`),
    /^step attempt failed charge Error: payment service is not available/,
    /^step attempt failed charge attempt 2 /,
    /^step completed charge attempt 3 /,
    /^step started pack$/,
    /^lease ended/,
    new RegExp(`^lease granted by worker-${next}, epoch 2$`),
    /^step completed pack /,
    /^timer set cool-down$/,
    /^timer fired cool-down$/,
    /^signal received approval \{"by":"Ada"\}$/,
    /^signal consumed approval /,
    /^step completed (label|mail) /,
    /^step completed (label|mail) /,
    /^run completed /,
  );
  const completed = events.flatMap((event) => /^step completed (\S+)/.exec(event)?.[1] ?? []);
  expect(completed.toSorted()).toEqual(["charge", "label", "mail", "pack"]);
  expect(events.filter((event) => event.startsWith("step attempt failed"))).toHaveLength(2);
  const secondsOf = (pattern: RegExp) => timeline.find(({ what }) => pattern.test(what))?.atSeconds ?? Number.NaN;
  expect(secondsOf(/^timer fired cool-down/) - secondsOf(/^timer set cool-down/)).toBeGreaterThanOrEqual(0.999);
  expect(job.lines).toContain("all of it went as told");
  expect(job.lines.filter((line) => line.startsWith("  FAILED"))).toEqual([]);
  const sharers = job.lines.flatMap((line) => /^ {2}(\w+) +weighed 4$/.exec(line)?.[1] ?? []);
  const others = [...(hasGo ? ["Go"] : []), ...(hasPython() ? ["Python"] : [])];
  expect(sharers).toEqual(expect.arrayContaining(others.length > 0 ? ["TypeScript", ...others] : []));
  expect(job.lines.filter((line) => line.startsWith("  ok "))).toHaveLength(sharers.length > 0 ? 8 : 7);
  expect({ processes: job.hasProcesses(), files: job.leftFiles() }).toEqual({ processes: false, files: [] });
});

test("the exit code is not 0 when somebody else ends the run", async () => {
  const job = start();
  await terminateFromOutside(job);
  expect(await job.exitCode()).not.toBe(0);
  expect(job.lines).not.toContain("all of it went as told");
});

test("nothing is left behind when somebody else ends the run", async () => {
  const job = start();
  await terminateFromOutside(job);
  await job.exitCode();
  expect({ processes: job.hasProcesses(), files: job.leftFiles() }).toEqual({ processes: false, files: [] });
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("nothing is left behind when it gets %s in the middle of the order", async (signal, code) => {
  const job = start();
  await job.line(/step started\s+pack/);
  job.signal(signal);
  expect(await job.exitCode()).toBe(code);
  expect({ processes: job.hasProcesses(), files: job.leftFiles() }).toEqual({ processes: false, files: [] });
  expect(await job.errors()).toBe("");
});

test("nothing is left behind when nobody reads what it prints any more", async () => {
  const job = start();
  await job.line(/run created/);
  job.stopReading();
  expect(await job.exitCode()).toBe(128 + constants.signals.SIGPIPE);
  expect({ processes: job.hasProcesses(), files: job.leftFiles() }).toEqual({ processes: false, files: [] });
  expect(await job.errors()).toBe("");
});

test("the exit code is not 0 when there is no place for the file", async () => {
  const job = start({ environment: { TMPDIR: "/nonexistent/everstep" } });
  expect(await job.exitCode()).not.toBe(0);
});
