import { Client, Worker, workflow } from "@everstep/sdk";

// A program of a user: a worker and a client on the server whose address it is given. Prints the result of one run.
const address = process.argv[2];
const greeting = workflow("greeting", async (ctx, input) => {
  const text = await ctx.step("compose", () => `hello ${input.name}`);
  await ctx.sleep("a moment", 20);
  const [loud, length] = await Promise.all([
    ctx.step("shout", () => text.toUpperCase()),
    ctx.step("measure", () => text.length),
  ]);
  return { loud, length };
});

const worker = new Worker({ address, workflows: [greeting] });
const working = worker.run();
const client = new Client({ address });
const run = await client.start(greeting, { input: { name: "Ada" } });
console.log(JSON.stringify(await run.result()));
client.close();
process.kill(process.pid, "SIGTERM");
await working;
