import type { Choice, Plan } from "./plan.ts";
import { runWorld } from "./world.ts";

/** Leaves choices out, in ever smaller pieces, as long as the world still fails. */
export async function shrink(plan: Plan, runsMax = 400): Promise<Plan> {
  let best = plan;
  let runs = 0;
  for (let size = Math.ceil(plan.choices.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < best.choices.length && runs < runsMax; ) {
      const choices: Choice[] = best.choices.filter((_, index) => index < from || index >= from + size);
      runs += 1;
      const { failure } = await runWorld({ ...best, choices });
      if (failure === undefined) from += size;
      else best = { ...best, choices };
    }
  }
  return best;
}
