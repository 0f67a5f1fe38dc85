import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { ServerProcess } from "../support/server-process.ts";
import { Checkout } from "./checkout.ts";
import { MainJob } from "./main-job.ts";

// `npm start` where somebody else has its file or its port.

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
function start(): { checkout: Checkout; job: () => MainJob } {
  const checkout = new Checkout();
  cleanups.push(() => checkout.remove());
  return {
    checkout,
    job: () => {
      const job = new MainJob({ checkout: checkout.root, environment: checkout.environment, once: false });
      cleanups.push(() => job.end());
      return job;
    },
  };
}

test("a file that another server has is told by that server's words alone", async () => {
  const { checkout, job } = start();
  mkdirSync(join(checkout.root, ".everstep"));
  const holder = await ServerProcess.start({ db: join(checkout.root, ".everstep", "everstep.db") });
  cleanups.push(() => holder.signal("SIGTERM"));
  const second = job();
  expect(await second.exitCode()).toBe(1);
  expect(await second.errors()).toMatch(/^everstep: \S+ is in use: another server holds \S+\n$/);
  expect(second.lines).toEqual([]);
});

test("a port that another program has is told", async () => {
  const holder = createServer().listen(7420, "127.0.0.1");
  // Where it cannot listen, somebody else has it already.
  await once(holder, "listening").catch(() => {});
  cleanups.push(() => holder.close());
  const first = start().job();
  await first.line(/^Port 7420 is taken by another program/);
  first.signal("SIGTERM");
  expect(await first.exitCode()).toBe(143);
});
