import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type StepAttempt, Worker, workflow } from "../../clients/typescript/src/index.ts";

// A worker of the TypeScript SDK whose steps leave a line in the sink each time that their body runs: what was called
// is counted there, what was recorded is counted in the file. Arguments: address, sink, identity [kill point].
//
// A kill point lets the process kill itself once, at: before (the body), after (it, before its result is reported),
// during (a moment after it was handed over), acked (when the next step begins).
const [address = "", sink = "", identity = "", killPoint = ""] = process.argv.slice(2);
let calls = 0;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
}

async function call(run: string, step: StepAttempt): Promise<string> {
  calls += 1;
  if (killPoint === "before" && calls === 2) die();
  if (killPoint === "acked" && calls === 3) die();
  const nonce = `${identity}/${process.pid}/${calls}`;
  appendFileSync(sink, `${JSON.stringify({ run, key: step.stepKey, attempt: step.attempt, nonce })}\n`);
  await pause(Math.random() * 5);
  if (killPoint === "after" && calls === 2) die();
  if (killPoint === "during" && calls === 2) setImmediate(() => setImmediate(die));
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
const worker = new Worker({ address, queues: ["sdk"], workflows: [torture], identity, capacity: 20 });
process.stdout.write("started\n");
await worker.run();
