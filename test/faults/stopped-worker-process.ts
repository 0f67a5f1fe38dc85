import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Worker, workflow } from "../../clients/typescript/src/index.ts";

// A worker that says what happens to it in a file, a line each. Its step takes `stepMs`.
const [address = "", ledger = "", stepMs = "0"] = process.argv.slice(2);
const note = (what: string): void => appendFileSync(ledger, `${process.pid} ${what}\n`);

const work = workflow("stoppable", async (ctx) => {
  note(`begun ${ctx.fencingToken}`);
  ctx.cancelSignal.addEventListener("abort", () => note(`cancelled ${(ctx.cancelSignal.reason as Error).name}`));
  const first = await ctx.step("first", () => process.pid);
  const second = await ctx.step("second", async () => {
    note("working");
    await pause(Number(stepMs));
    note("worked");
    return process.pid;
  });
  return { first, second };
});
await new Worker({ address, workflows: [work] }).run();
