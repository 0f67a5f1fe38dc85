import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type StepAttempt, Worker, workflow } from "../../clients/typescript/src/index.ts";

// The workflow of the proofs, in TypeScript. Its steps leave a line in the sink each time that their body runs: what was
// called is counted there, what was recorded is counted in the file.

export interface TortureWorkerOptions {
  readonly address: string;
  readonly queue: string;
  readonly sink: string;
  readonly identity: string;
  /** Called around the body of each step, with its number in this process, from 1. */
  readonly around?: { before(call: number): void; after(call: number): void | Promise<void> };
}

let calls = 0;

/** Starts a worker that carries the workflow "torture". */
export function tortureWorker({ address, queue, sink, identity, around }: TortureWorkerOptions): Worker {
  async function call(run: string, step: StepAttempt): Promise<string> {
    const number = ++calls;
    around?.before(number);
    const nonce = `${identity}/${process.pid}/${number}`;
    appendFileSync(sink, `${JSON.stringify({ run, key: step.stepKey, attempt: step.attempt, nonce })}\n`);
    await pause(Math.random() * 5);
    await around?.after(number);
    return nonce;
  }
  const torture = workflow("torture", async (ctx, input: { signal: boolean }) => {
    await ctx.step("a", (step) => call(ctx.runId, step));
    await ctx.sleep("nap", 30);
    await Promise.all(["b", "c"].map((key) => ctx.step(key, (step) => call(ctx.runId, step))));
    if (input?.signal) await ctx.signal("go", { timeoutMs: 600_000 });
    await ctx.step("d", (step) => call(ctx.runId, step));
    return ctx.runId;
  });
  return new Worker({ address, queues: [queue], workflows: [torture], identity, capacity: 20 }).start();
}
