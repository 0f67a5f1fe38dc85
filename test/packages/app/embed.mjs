import { createEngine, createServer } from "everstep";
import { Client, Worker, workflow } from "@everstep/sdk";

// Engine, server, worker and client in one process of a user. Prints the result of one run.
const engine = await createEngine({ path: process.argv[2] });
const server = createServer(engine, { port: 0 });
const { url: address } = await server.listen();

const double = workflow("double", (ctx, input) => ctx.step("double", () => input * 2));
const worker = new Worker({ address, workflows: [double] }).start();
const client = new Client({ address });
const run = await client.start(double, { input: 21 });
console.log(JSON.stringify(await run.result()));
client.close();
await worker.drain();
await server.close();
await engine.stop();
