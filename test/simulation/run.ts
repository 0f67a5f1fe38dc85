import { randomInt } from "node:crypto";
import { commandLine } from "../support/command-line.ts";
import { numberOption } from "../support/number-option.ts";
import { Fired, seedsEnough } from "./fired.ts";
import type { ImageKind } from "./images.ts";
import { type Plan, planOf } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { imagesOf, isStore, replayOf, stores } from "./stores.ts";
import { type Outcome, runWorld } from "./world.ts";

const usage =
  "npm run simulate -- --seed N [--trace] | --minutes M | --seeds K [--from N] [--store mixed|memory|sqlite|both] [--json] [--no-shrink]";

const { values } = commandLine(usage, {
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    from: { type: "string" },
    minutes: { type: "string" },
    store: { type: "string", default: "mixed" },
    trace: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    shrink: { type: "boolean", default: true },
  },
  allowNegative: true,
});

const { store } = values;
if (!isStore(store)) {
  console.error(`--store: ${JSON.stringify(store)} is none of ${stores.join(", ")}`);
  process.exit(2);
}

/** On one store, or on both, which must say the same. */
async function tried(plan: Plan, [image, other]: readonly ImageKind[]): Promise<Outcome> {
  const outcome = await runWorld(plan, { keepLines: values.trace, image });
  if (other === undefined) return outcome;
  const { digest } = await runWorld(plan, { image: other });
  return digest === outcome.digest ? outcome : { ...outcome, failure: `on ${other} the trace is ${digest}` };
}

const only = values.seed === undefined ? undefined : numberOption("seed", values.seed, 0, { min: 0 });
const first = only ?? numberOption("from", values.from, randomInt(2 ** 31), { min: 0 });
const count = only === undefined ? numberOption("seeds", values.seeds, Number.POSITIVE_INFINITY, { min: 1 }) : 1;
const minutes = numberOption("minutes", values.minutes, 1, { min: 0, whole: false });
const endsAtMs =
  performance.now() + (values.seeds === undefined && only === undefined ? minutes * 60_000 : Number.POSITIVE_INFINITY);
const startedAtMs = performance.now();
const fired = new Fired();
const seedsOn: Record<ImageKind, number> = { memory: 0, sqlite: 0 };
let done = 0;
let virtualMs = 0;
let failed = 0;

for (let seed = first; done < count && performance.now() < endsAtMs; seed++, done++) {
  const plan = planOf(seed);
  const images = imagesOf(store, seed);
  const outcome = await tried(plan, images);
  for (const image of images) seedsOn[image] += 1;
  virtualMs += outcome.virtualMs;
  fired.add(outcome.fired);
  if (values.trace) console.log(outcome.lines.join("\n"));
  if (only !== undefined) console.log(`seed ${seed}: trace ${outcome.digest}, ${outcome.steps} steps`);
  if (outcome.failure === undefined) continue;
  failed += 1;
  console.log(`seed ${seed} FAILED (trace ${outcome.digest}): ${outcome.failure}`);
  console.log(`  again: ${replayOf(seed, images)} --trace`);
  if (values.shrink) {
    const { choices, ...world } = await shrink(
      plan,
      outcome.failure,
      async (smaller) => (await tried(smaller, images)).failure,
    );
    console.log(`  shrunk to ${choices.length} choices of ${plan.choices.length}, in ${JSON.stringify(world)}:`);
    for (const choice of choices) console.log(`  ${JSON.stringify(choice)}`);
  }
  if (failed >= 5) break;
}

const never = fired.never(done);
if (!values.json) console.log(fired.table());
if (never.length > 0) console.log(`NEVER TOOK HOLD in ${done} seeds (${seedsEnough} are enough): ${never.join(", ")}`);
const seconds = (performance.now() - startedAtMs) / 1_000;
console.log(
  JSON.stringify({
    firstSeed: first,
    seeds: done,
    failed,
    seedsOn,
    seconds: Math.round(seconds),
    seedsPerHour: Math.round((done / seconds) * 3_600),
    virtualHours: Math.round(virtualMs / 36_000) / 100,
    never,
    fired: fired.counts,
  }),
);
if (!values.json) {
  const worlds = `${done.toLocaleString("en")} ${done === 1 ? "world" : "worlds"}`;
  console.log(`${worlds} in ${Math.round(seconds)} s: ${failed === 0 ? "no promise was broken" : `${failed} FAILED`}`);
}
process.exitCode = failed === 0 && never.length === 0 ? 0 : 1;
