// One hunter, in a process of its own and in a copy of the tree: seeds in a row, until one fails or its time is over.
// node test/simulation/exam/hunt.ts FIRST SEEDS CPU_SECONDS; says each seed before it tries it.
import { planOf } from "../plan.ts";
import { runWorld } from "../world.ts";

const [first, seeds, cpuSeconds] = process.argv.slice(2).map(Number) as [number, number, number];
const usedSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

for (let seed = first; seed < first + seeds && usedSeconds() < cpuSeconds; seed++) {
  process.stdout.write(`${JSON.stringify({ seed, seconds: usedSeconds() })}\n`);
  const { failure } = await runWorld(planOf(seed));
  if (failure === undefined) continue;
  process.stdout.write(`${JSON.stringify({ seed, seconds: usedSeconds(), failure })}\n`);
  break;
}
