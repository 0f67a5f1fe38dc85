import type { Choice, Plan } from "./plan.ts";

/** What a plan fails with, on the store with which it was found. */
export type Trial = (plan: Plan) => Promise<string | undefined>;

/** What is broken, without the ids and numbers of this one time: the invariant, or else how the sentence begins. */
export function kindOf(failure: string): string {
  return /^I\d+\b/.exec(failure)?.[0] ?? failure.split(/\s+/, 3).join(" ").replaceAll(/\d+/g, "#");
}

/** Leaves choices out, in ever smaller pieces, as long as the world still fails of the same. */
export async function shrink(plan: Plan, failure: string, trial: Trial, runsMax = 400): Promise<Plan> {
  const kind = kindOf(failure);
  let best = plan;
  let runs = 0;
  for (let size = Math.ceil(plan.choices.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < best.choices.length && runs < runsMax; ) {
      const choices: Choice[] = best.choices.filter((_, index) => index < from || index >= from + size);
      runs += 1;
      const other = await trial({ ...best, choices });
      if (other !== undefined && kindOf(other) === kind) best = { ...best, choices };
      else from += size;
    }
  }
  return best;
}
