import { randomInt } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { Fired } from "./fired.ts";
import { planOf } from "./plan.ts";
import { digestsOf } from "./replay.ts";
import { imagesOf, replayOf } from "./stores.ts";
import { runWorld } from "./world.ts";

const corpus = JSON.parse(readFileSync(join(import.meta.dirname, "corpus.json"), "utf8")) as {
  seed: number;
  why: string;
}[];

test("a seed replays exactly", async () => {
  const traces = [];
  for (let time = 0; time < 2; time++) traces.push((await runWorld(planOf(7), { keepLines: true })).lines.join("\n"));
  expect(traces[0]!.length).toBeGreaterThan(1_000);
  expect(traces[1]).toBe(traces[0]);
});

test("seeds replay exactly in another thread, and there once more on a heap that is full of garbage", async () => {
  const seeds = [1, 2, 3, 4];
  const digests = await digestsOf(seeds);
  const thread = new Worker(join(import.meta.dirname, "replay-thread.ts"), { workerData: seeds, execArgv: [] });
  const [there] = await once(thread, "message");
  expect(new Set(digests).size).toBe(seeds.length);
  expect(there).toMatchObject({ fresh: digests, behindGarbage: digests });
});

test("seeds that failed once do not fail again", { timeout: 60_000 }, async () => {
  for (const { seed, why } of corpus)
    expect((await runWorld(planOf(seed))).failure, `seed ${seed}: ${why}`).toBeUndefined();
});

test("on a SQLite file everything is as in memory", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const inMemory = await runWorld(planOf(seed));
    const onFile = await runWorld(planOf(seed), { image: "sqlite" });
    expect(onFile, replayOf(seed, imagesOf("both", seed))).toEqual(inMemory);
  }
});

test("a minute of fresh seeds breaks no promise", { timeout: 180_000 }, async () => {
  const endsAtMs = performance.now() + 60_000;
  const fired = new Fired();
  let seeds = 0;
  for (let seed = randomInt(2 ** 31); performance.now() < endsAtMs; seed++, seeds++) {
    const images = imagesOf("mixed", seed);
    const outcome = await runWorld(planOf(seed), { image: images[0] });
    fired.add(outcome.fired);
    expect(outcome.failure, replayOf(seed, images)).toBeUndefined();
  }
  expect(seeds).toBeGreaterThan(0);
  expect(fired.never(seeds)).toEqual([]);
});
