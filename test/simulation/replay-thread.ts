// A thread that plays seeds as they come and once more behind a warm-up, for simulation.test.ts: other code is compiled
// by then, the heap is large, and garbage is collected at other places.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { digestsOf } from "./replay.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const seeds = workerData as readonly number[];

const fresh = await digestsOf(seeds);
const kept: object[] = [];
for (let round = 0; round < 3; round++) {
  const litter = Array.from({ length: 100_000 }, (_, index) => ({ index, text: `${round} ${index}` }));
  kept.push(...litter.filter(({ index }) => index % 10 === round));
  collect();
}
const behindGarbage = await digestsOf(seeds);
parentPort?.postMessage({ fresh, behindGarbage, kept: kept.length });
