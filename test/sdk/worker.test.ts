import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CancelledError, InvalidArgumentError, RunFailedError } from "../../clients/typescript/src/errors.ts";
import type { RetryOptions } from "../../clients/typescript/src/retry-options.ts";
import { workflow } from "../../clients/typescript/src/workflow.ts";
import { Cluster, until } from "./cluster.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ leaseTtlMs: 3_000 });
});
afterAll(() => cluster.stop());

const hanging = () => new Promise<never>(() => {});

describe("with a real server", () => {
  test("an order: steps, signal, parallel steps, result and history", async () => {
    const order = workflow("order", async (ctx, input: { cents: number }) => {
      const charge = await ctx.step("charge", () => ({ paid: input.cents }));
      const approval = await ctx.signal<{ by: string }>("approval", { timeoutMs: 60_000 });
      const [label, mail] = await Promise.all([ctx.step("label", () => "L"), ctx.step("mail", async () => "M")]);
      return { charge, by: approval?.by, label, mail };
    });
    cluster.worker({ workflows: [order] });
    const run = await cluster.client.start(order, { input: { cents: 5 }, runKey: "o-1" });
    await until(async () => (await run.get()).status === "WAITING");
    expect((await cluster.client.explain(run.runId)).text).not.toBe("");
    await run.signal("approval", { by: "ada" });
    expect(await run.result()).toEqual({ charge: { paid: 5 }, by: "ada", label: "L", mail: "M" });
    expect(await run.get()).toMatchObject({ status: "COMPLETED", runKey: "o-1", input: { cents: 5 } });
    const seqs: bigint[] = [];
    for await (const event of run.watch()) seqs.push(event.seq);
    expect(seqs).toEqual(seqs.map((_, index) => BigInt(index + 1)));
    const listed: string[] = [];
    for await (const { runId } of cluster.client.list({ workflow: "order" })) listed.push(runId);
    expect(listed).toEqual([run.runId]);
  });

  test("a start may be repeated; a taken key has a named reason", async () => {
    const ids = { runId: "fixed", requestId: "r-1" };
    const first = await cluster.client.start("idle", { ...ids, runKey: "k" });
    const second = await cluster.client.start("idle", { ...ids, runKey: "k" });
    expect([first.alreadyStarted, second.alreadyStarted]).toEqual([false, true]);
    await expect(cluster.client.start("idle", { runKey: "k" })).rejects.toMatchObject({
      reason: "RUN_KEY_TAKEN",
      metadata: { run_id: "fixed" },
    });
    await expect(cluster.client.get("nobody")).rejects.toMatchObject({ reason: "RUN_NOT_FOUND" });
    expect(await first.terminate()).toMatchObject({ status: "TERMINATED" });
  });

  test("retries, then success; exhausted retries fail the run with their causes; retry opens it again", async () => {
    let broken = true;
    const retried = workflow("retried", async (ctx) => {
      const attempts = await ctx.step(
        "flaky",
        ({ attempt }) => {
          if (attempt < 3) throw new Error("not yet");
          return attempt;
        },
        { retry: { initialDelayMs: 10 } },
      );
      await ctx.step(
        "broken",
        () => {
          if (broken) throw new TypeError("still broken");
        },
        { retry: { maxAttempts: 1 } },
      );
      return attempts;
    });
    cluster.worker({ workflows: [retried] });
    const run = await cluster.client.start(retried);
    const error = await run.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RunFailedError);
    expect(error).toMatchObject({
      failure: { type: "StepFailed", cause: { type: "TypeError", message: "still broken" } },
    });
    broken = false;
    await cluster.client.retry(run.runId);
    expect(await run.result()).toBe(3);
  });

  test("a retry option that no policy can carry is refused before its step begins, and costs nobody else", async () => {
    const bad: RetryOptions[] = [
      { maxAttempts: Number.NaN },
      { maxAttempts: 2.5 },
      { maxAttempts: -1 },
      { initialDelayMs: Number.NaN },
      { maxDelayMs: Number.POSITIVE_INFINITY },
      { maxElapsedMs: -1 },
      { factor: 0.5 },
      { jitter: 2 },
      { delaysMs: [] },
      { delaysMs: [10, Number.NaN] },
      { backoff: "none" as never },
      { nonRetryableTypes: [TypeError as never] },
      { nonRetryableTypes: ["\u20ac".repeat(86)] },
      { maxAttempts: 3n as never },
    ];
    let ran = 0;
    const optimist = workflow("optimist", async (ctx) => {
      const messages: string[] = [];
      for (const [index, retry] of bad.entries()) {
        const step = ctx.step(`bad-${index}`, () => ++ran, { retry });
        const error = await step.catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(InvalidArgumentError);
        messages.push((error as Error).message);
      }
      await ctx.step("good", () => ++ran, { retry: { maxAttempts: 0, delaysMs: [1.5], jitter: 1, factor: 1 } });
      const endless: RetryOptions = { maxAttempts: Number.POSITIVE_INFINITY, initialDelayMs: 1, maxDelayMs: 1 };
      await ctx.step("endless", ({ attempt }) => void expect(attempt).toBe(6), { retry: endless });
      return messages;
    });
    cluster.worker({ workflows: [optimist] });
    const run = await cluster.client.start(optimist);
    const messages = (await run.result()) as string[];
    expect(messages.map((message) => message.split(" ")[0])).toEqual(
      bad.map((retry) => `retry.${Object.keys(retry)[0]}`),
    );
    expect(messages[0]).toMatch(/, not NaN$/);
    expect(messages[1]).toBe(
      "retry.maxAttempts is a whole number from 0, which is without limit, to 2147483647, not 2.5",
    );
    expect(ran).toBe(1);
  });

  test("a sleep suspends, short or long, and a wait times out", async () => {
    const sleeper = workflow("sleeper", async (ctx) => {
      await ctx.sleep("short", 20);
      await ctx.sleep("long", 1_200);
      return (await ctx.signal("never", { timeoutMs: 30 })) ?? "timed out";
    });
    const worker = cluster.worker({ workflows: [sleeper] });
    const run = await cluster.client.start(sleeper);
    await until(async () => (await run.get()).status === "WAITING");
    await until(() => worker.health().held === 0); // a client may know of the suspend before the worker does
    expect(await run.result()).toBe("timed out");
  });

  test("cancel: the running step is aborted, cleanup runs, the run ends cancelled", async () => {
    let cleaned = 0;
    const cancelled = workflow("cancelled", async (ctx) => {
      try {
        await ctx.step(
          "work",
          ({ signal }) => new Promise((_, reject) => (signal.onabort = () => reject(signal.reason))),
        );
      } finally {
        await ctx.step("undo", () => ++cleaned);
      }
    });
    cluster.worker({ workflows: [cancelled] });
    const run = await cluster.client.start(cancelled);
    await until(async () => (await run.get()).status === "RUNNING");
    await run.cancel({ reason: "enough" });
    await expect(run.result()).rejects.toThrow(CancelledError);
    expect(cleaned).toBe(1);
  });

  test("cancel of a waiting run", async () => {
    const waiting = workflow("waiting", (ctx) => ctx.signal("never"));
    cluster.worker({ workflows: [waiting] });
    const run = await cluster.client.start(waiting);
    await until(async () => (await run.get()).status === "WAITING");
    await run.cancel();
    await expect(run.result()).rejects.toThrow(CancelledError);
  });

  test("terminate aborts the handler", async () => {
    let signal: AbortSignal | undefined;
    const doomed = workflow("doomed", (ctx) =>
      ctx.step("work", (attempt) => {
        signal = attempt.signal;
        return hanging();
      }),
    );
    cluster.worker({ workflows: [doomed] });
    const run = await cluster.client.start(doomed);
    await until(() => signal !== undefined);
    await run.terminate();
    await until(() => signal?.aborted === true);
  });

  test("pause and resume", async () => {
    const calls: string[] = [];
    let begun = () => {};
    let goOn = () => {};
    const inStep = new Promise<void>((resolve) => (begun = resolve));
    const mayEnd = new Promise<void>((resolve) => (goOn = resolve));
    const paused = workflow("paused", async (ctx) => {
      await ctx.step("one", () => {
        calls.push("one");
        begun();
        return mayEnd;
      });
      return ctx.step("two", () => calls.push("two"));
    });
    cluster.worker({ workflows: [paused] });
    const run = await cluster.client.start(paused);
    await inStep;
    await cluster.client.pause(run.runId);
    goOn();
    await until(async () => (await run.get()).status === "PAUSED");
    expect(calls).toEqual(["one"]);
    await cluster.client.resume(run.runId);
    expect(await run.result()).toBe(2);
    expect(calls).toEqual(["one", "two"]);
  });

  test("a cut stream: handlers live on, nothing runs twice, every run ends", async () => {
    const calls = new Map<string, number>();
    const steady = workflow("steady", async (ctx, input: number) => {
      let sum = 0;
      for (let step = 0; step < 20; step += 1) {
        sum += await ctx.step(`s${step}`, async ({ stepKey }) => {
          const key = `${input}/${stepKey}`;
          calls.set(key, (calls.get(key) ?? 0) + 1);
          await new Promise((resolve) => setTimeout(resolve, 10));
          return step;
        });
      }
      return sum;
    });
    cluster.worker({ workflows: [steady], capacity: 50 });
    const runs = await Promise.all(
      Array.from({ length: 50 }, (_, index) => cluster.client.start(steady, { input: index })),
    );
    for (let cut = 0; cut < 3; cut += 1) {
      await new Promise((resolve) => setTimeout(resolve, 80));
      cluster.cut();
    }
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results).toEqual(runs.map(() => 190));
    expect([...calls.values()].filter((count) => count !== 1)).toEqual([]);
  });

  test("a killed worker: another one goes on behind what is recorded", async () => {
    let firstCalls = 0;
    const taken = workflow("taken", async (ctx) => {
      await ctx.step("first", () => ++firstCalls);
      return ctx.step("second", ({ fencingToken }) => (fencingToken === 1 ? hanging() : fencingToken));
    });
    const doomed = cluster.worker({ workflows: [taken] });
    const run = await cluster.client.start(taken);
    await until(async () => (await run.get()).stepsCompleted === 1);
    doomed.close();
    cluster.worker({ workflows: [taken] });
    expect(await run.result()).toBe(2);
    expect(firstCalls).toBe(1);
  });

  test("drain gives runs back between steps, and another worker ends them", async () => {
    const relay = workflow("relay", async (ctx) => {
      for (let step = 0; step < 30; step += 1) {
        await ctx.step(`s${step}`, () => new Promise((resolve) => setTimeout(resolve, 10)));
      }
      return "done";
    });
    const first = cluster.worker({ workflows: [relay] });
    const run = await cluster.client.start(relay);
    await until(async () => (await run.get()).stepsCompleted > 2);
    await first.drain();
    expect(first.health().sessionState).toBe("closed");
    expect((await run.get()).status).toBe("QUEUED");
    cluster.worker({ workflows: [relay] });
    expect(await run.result()).toBe("done");
  });

  test("a worker that finds no server comes back when there is one", async () => {
    const late = workflow("late", () => "here");
    const { Worker } = await import("../../clients/typescript/src/worker.ts");
    const lonely = new Worker({ address: "http://127.0.0.1:1", workflows: [late], log: () => {} }).start();
    await until(() => lonely.health().lastError !== undefined);
    expect(lonely.health()).toMatchObject({ connected: false, held: 0 });
    await lonely.drain();
  });
});

test("a restarted server: handlers live on under their leases, results are recorded, nothing runs twice", async () => {
  const folder = await mkdtemp(join(tmpdir(), "everstep-sdk-"));
  const own = await Cluster.start({ path: join(folder, "runs.db"), leaseTtlMs: 5_000 });
  try {
    const calls = new Map<string, number>();
    const steady = workflow("steady", async (ctx, input: number) => {
      for (let step = 0; step < 12; step += 1) {
        await ctx.step(`s${step}`, async ({ stepKey }) => {
          const key = `${input}/${stepKey}`;
          calls.set(key, (calls.get(key) ?? 0) + 1);
          await new Promise((resolve) => setTimeout(resolve, 50));
        });
      }
      return (await ctx.signal<string>("end")) ?? "";
    });
    own.worker({ workflows: [steady], capacity: 20 });
    const runs = await Promise.all(Array.from({ length: 20 }, (_, input) => own.client.start(steady, { input })));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await own.restart();
    for (const run of runs) await run.signal("end", "over");
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(runs.map(() => "over"));
    expect([...calls.values()].filter((count) => count !== 1)).toEqual([]);
  } finally {
    await own.stop();
    await rm(folder, { recursive: true });
  }
});

test("at most once: a worker lost inside pauses the run, and a person decides", async () => {
  const once = workflow("once", (ctx) =>
    ctx.step("pay", ({ fencingToken }) => (fencingToken === 1 ? hanging() : "paid twice"), { atMostOnce: true }),
  );
  const doomed = cluster.worker({ workflows: [once] });
  const run = await cluster.client.start(once);
  await until(async () => (await run.get()).lastSeq >= 3);
  doomed.close();
  await until(async () => (await run.get()).status === "PAUSED");
  expect((await run.get()).pauseReason).toBe("UNCERTAIN_EFFECT");
  cluster.worker({ workflows: [once] });
  await cluster.client.resume(run.runId, { resolution: { complete: "paid once" } });
  expect(await run.result()).toBe("paid once");
});
