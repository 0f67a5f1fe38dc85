import { Worker, workflow } from "../../clients/typescript/src/index.ts";
import { sharedNowMs } from "../result.ts";

// Tells how long a start took to reach the first line of its handler, and a signal to reach the line behind its wait.
// `held` keeps a step running meanwhile, so that the lease stays and the signal comes as a notice; without it the run
// is suspended and the signal wakes it. Instants are those of a clock that all processes share.

const [url = "", capacity = "256"] = process.argv.slice(2);
/** Runs whose first line was reached: a run that comes back after its suspension starts again from the top. */
const begun = new Set<string>();

interface Input {
  readonly sentAtMs: number;
  readonly held: boolean;
}

const latency = workflow("latency", async (ctx, { sentAtMs, held }: Input) => {
  if (!begun.has(ctx.runId)) {
    begun.add(ctx.runId);
    process.send?.({ kind: "start", ms: sharedNowMs() - sentAtMs });
  }
  let release: () => void = () => {};
  const step = held ? ctx.step("meanwhile", () => new Promise<void>((resolve) => (release = resolve))) : undefined;
  const signalledAtMs = (await ctx.signal<number>("go")) as number;
  process.send?.({ kind: held ? "signalHeld" : "signal", ms: sharedNowMs() - signalledAtMs });
  release();
  await step;
  begun.delete(ctx.runId);
});
await new Worker({ address: url, workflows: [latency], capacity: Number(capacity) }).run();
process.exit(0);
