import { Worker, workflow } from "../../clients/typescript/src/index.ts";

// The real SDK worker, in its own process: five steps of almost no work each. Prints how many runs it ended.

const [url = "", capacity = "256"] = process.argv.slice(2);
let finished = 0;
const bench = workflow("bench", async (ctx) => {
  for (const key of ["a", "b", "c", "d", "e"]) await ctx.step(key, () => "twenty bytes of step");
  finished += 1;
  return "done";
});
setInterval(() => console.log(finished), 20);
await new Worker({ address: url, workflows: [bench], capacity: Number(capacity) }).run();
process.exit(0);
