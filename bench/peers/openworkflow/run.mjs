import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenWorkflow } from "openworkflow";
import { BackendSqlite } from "openworkflow/sqlite";
import { result, runClosedLoop, steps } from "../closed-loop.mjs";

const inFlight = Number(process.argv[2]);
const folder = mkdtempSync(join(process.env.EVERSTEP_BENCH_FOLDER ?? tmpdir(), "openworkflow-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
process.on("SIGTERM", () => process.exit(0));

const ow = new OpenWorkflow({ backend: BackendSqlite.connect(join(folder, "openworkflow.db")) });
/** Told by the last line of the handler: result() would poll once a second. */
const ends = new Map();
const bench = ow.defineWorkflow({ name: "bench" }, async ({ input, step }) => {
  for (const name of steps) await step.run({ name }, async () => result);
  ends.get(input.number)?.();
  ends.delete(input.number);
  return "done";
});
const worker = ow.newWorker({ concurrency: inFlight });
await worker.start();
let started = 0;
runClosedLoop(inFlight, async () => {
  const number = ++started;
  const end = new Promise((resolve) => ends.set(number, resolve));
  await bench.run({ number });
  await end;
});
