import { afterAll, beforeAll, expect, test } from "vitest";
import { RunFailedError, StepFailedError } from "../../clients/typescript/src/errors.ts";
import { workflow } from "../../clients/typescript/src/workflow.ts";
import { Cluster, until } from "./cluster.ts";

// Hundreds of steps and waits at a time, and errors of an odd kind, against a real server.

let cluster: Cluster;
beforeAll(async () => {
  // Longer than a busy machine stands still: a lost lease would call its steps again.
  cluster = await Cluster.start({ leaseTtlMs: 30_000 });
});
afterAll(() => cluster.stop());

const times = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));

test("more steps back off than a suspend may name: the run waits, and all of them are tried again", async () => {
  let calls = 0;
  const flaky = workflow("flaky", async (ctx) => {
    const retry = { backoff: "fixed", initialDelayMs: 6_000, maxAttempts: 2, jitter: 0 } as const;
    const steps = times(1_100, (at) =>
      ctx.step(
        `s${at}`,
        ({ attempt }) => {
          calls += 1;
          if (attempt === 1) throw new Error("not yet");
        },
        { retry },
      ),
    );
    await Promise.all(steps);
    return calls;
  });
  cluster.worker({ workflows: [flaky] });
  const run = await cluster.client.start(flaky);
  await until(async () => (await run.get()).status === "WAITING");
  expect(calls).toBe(1_100);
  expect(await run.result()).toBe(2_200);
});

test("an error that carries more failed steps than the end of a run may name fails the run", async () => {
  const failing = workflow("failing", async (ctx) => {
    const steps = times(1_001, (at) =>
      ctx.step(
        `s${at}`,
        () => {
          throw new Error("no");
        },
        { retry: { maxAttempts: 1 } },
      ),
    );
    const errors = (await Promise.allSettled(steps)).map((outcome) => (outcome as PromiseRejectedResult).reason);
    throw new AggregateError(errors, "all of them");
  });
  cluster.worker({ workflows: [failing] });
  const run = await cluster.client.start(failing);
  await expect(run.result()).rejects.toThrow(/all of them/);
  expect((await run.get()).status).toBe("FAILED");
});

test("failures that are large together go out in several frames", async () => {
  const text = "x".repeat(15_000);
  const large = workflow("large", async (ctx) => {
    const steps = times(700, (at) =>
      ctx.step(
        `s${at}`,
        async () => {
          await Promise.resolve();
          throw new Error("no", { cause: new Error(text) });
        },
        { retry: { maxAttempts: 1 } },
      ),
    );
    return (await Promise.allSettled(steps)).filter(({ status }) => status === "rejected").length;
  });
  const worker = cluster.worker({ workflows: [large] });
  const run = await cluster.client.start(large);
  expect(await run.result()).toBe(700);
  expect(worker.health().connected).toBe(true);
});

test("an error whose cause cannot be read fails its run", async () => {
  const odd = workflow("odd", () => {
    const error = new Error("odd");
    Object.defineProperty(error, "cause", {
      get() {
        throw new Error("not to be read");
      },
    });
    throw error;
  });
  cluster.worker({ workflows: [odd] });
  const run = await cluster.client.start(odd);
  await expect(run.result()).rejects.toThrow(RunFailedError);
});

test("what a step returns and cannot be asked whether it is a promise is a failure of the step", async () => {
  let calls = 0;
  const proxy = new Proxy(
    {},
    {
      get() {
        throw new Error("not to be asked");
      },
    },
  );
  const asking = workflow("asking", async (ctx) => {
    try {
      await ctx.step(
        "odd",
        () => {
          calls += 1;
          return proxy;
        },
        { retry: { maxAttempts: 2, backoff: "fixed", initialDelayMs: 1 } },
      );
    } catch (error) {
      return error instanceof StepFailedError;
    }
    return undefined;
  });
  cluster.worker({ workflows: [asking] });
  const run = await cluster.client.start(asking);
  expect(await run.result()).toBe(true);
  expect(calls).toBe(2);
});
