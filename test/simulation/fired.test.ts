import { expect, test } from "vitest";
import { type Counts, Fired, type Kind, seedsEnough } from "./fired.ts";
import { type Choice, planOf } from "./plan.ts";
import { runWorld } from "./world.ts";

async function countsOf(choices: readonly Choice[]): Promise<Counts> {
  const quiet = { workers: 1, unaryWorkers: 0, latencyMs: 2, lossShare: 0, repeatShare: 0, spyShare: 0, staleShare: 0 };
  const { failure, fired } = await runWorld({ ...planOf(1), ...quiet, faultsEndMs: 20_000, choices });
  expect(failure).toBeUndefined();
  return fired;
}

test("a fault counts where it takes hold, and not when there is nothing to break", async () => {
  const cut = { kind: "cut", worker: 0, deaf: "neither", lateMs: 0 } as const;
  const stall = { kind: "stall", worker: 0, from: 1 } as const;
  const shape = { key: "", ops: [], queue: "default", workflow: "program", startDelayMs: 0, runTimeoutMs: 0 } as const;
  const counts = await countsOf([
    { kind: "start", atMs: 100, run: 0, ...shape },
    { ...cut, atMs: 1_000 },
    { ...cut, atMs: 1_000 },
    { kind: "crashWorker", atMs: 4_000, worker: 0, ms: 2_000 },
    { kind: "stopWorker", atMs: 5_000, worker: 0, ms: 500 },
    { kind: "crashWorker", atMs: 5_000, worker: 0, ms: 2_000 },
    { kind: "crashServer", atMs: 10_000, ms: 5_000 },
    { kind: "crashServer", atMs: 11_000, ms: 5_000 },
    { kind: "drainServer", atMs: 12_000, ms: 100 },
    { kind: "stopServer", atMs: 12_000, ms: 1_000 },
    { kind: "jump", atMs: 12_000, ms: 5_000 },
    { ...cut, atMs: 12_000, deaf: "worker" },
    { ...stall, atMs: 12_000, ms: 1_000 },
    { kind: "failedSync", atMs: 16_000 },
    { kind: "constraint", atMs: 17_000 },
    { kind: "fullDisk", atMs: 18_000, ms: 100 },
  ]);
  const hit = Object.entries(counts).filter(([, times]) => times > 0);
  expect(Object.fromEntries(hit)).toEqual({
    start: 1,
    otherStart: 1,
    cut: 1,
    crashWorker: 1,
    crashServer: 1,
    jumpOverRestart: 1,
  });
});

test("a kind that never took hold is named when there were seeds enough", () => {
  const fired = new Fired();
  const { counts } = fired;
  for (const kind of Object.keys(counts) as Kind[]) if (kind !== "stallFromServer") fired.hit(kind);
  expect(fired.never(seedsEnough - 1)).toEqual([]);
  expect(fired.never(seedsEnough)).toEqual(["stallFromServer"]);
  fired.add({ ...counts, stallFromServer: 1 });
  expect(fired.never(seedsEnough)).toEqual([]);
});
