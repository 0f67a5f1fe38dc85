import { planOf } from "./plan.ts";
import { runWorld } from "./world.ts";

/**
 * The digests of the traces of some seeds. Failures that a worker sends carry the stack of their error, which names the
 * files and lines of the process that plays: they are left out, so that processes and threads can be compared.
 */
export async function digestsOf(seeds: readonly number[]): Promise<string[]> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const digests = [];
  try {
    for (const seed of seeds) digests.push((await runWorld(planOf(seed))).digest);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return digests;
}
