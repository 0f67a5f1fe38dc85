import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventType, type Event } from "../../gen/ts/everstep/v1/event_pb.ts";
import { Client } from "../../clients/typescript/src/index.ts";
import { timelineLine } from "../../src/cli/timeline.ts";
import { leave, leaveWhenTold, removeAtTheEnd } from "./leaving.ts";
import { startOtherWorkers } from "./other-workers.ts";
import { end, isEnding, type ServerProcess, startServer, startWorker } from "./processes.ts";
import { shareTheQueue } from "./sharing.ts";
import type { order } from "./workflow.ts";

// `npm start`: a server, a worker and a real order, with the worker killed in its middle. `--once` ends afterwards and
// says by its exit code whether everything went as told.

const once = process.argv.includes("--once");
const port = 7420;

async function isFree(wanted: number): Promise<boolean> {
  const probe = createServer();
  const free = await new Promise<boolean>((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(wanted, "127.0.0.1", () => resolve(true));
  });
  if (free) await new Promise((resolve) => probe.close(resolve));
  return free;
}

interface Checks {
  check(what: string, ok: boolean): void;
  readonly failed: number;
}
function createChecks(): Checks {
  let failed = 0;
  return {
    check(what, ok) {
      if (!ok) failed += 1;
      console.log(`  ${ok ? "ok    " : "FAILED"} ${what}`);
    },
    get failed() {
      return failed;
    },
  };
}

interface Carried {
  readonly failed: number;
  readonly runId: string;
  /** Languages whose workers took no part. */
  readonly without: readonly string[];
}
async function carryOrderThrough(server: ServerProcess, ledger: string): Promise<Carried> {
  const client = new Client({ address: server.url });
  let worker = startWorker(server.url, ledger);
  const others = startOtherWorkers(server.url);
  const firstPid = worker.pid;
  const input = { item: "book", amount: 42 };
  const run = await client.start<typeof input, Awaited<ReturnType<(typeof order)["run"]>>>("order", { input });
  console.log(`run ${run.runId}: an order, by worker process ${firstPid}\n`);
  const events: Event[] = [];
  let killed = false;
  let approved = false;
  for await (const event of client.watch(run.runId)) {
    events.push(event);
    console.log(timelineLine(event, events[0]!.atMs));
    if (!killed && event.type === EventType.STEP_STARTED && event.stepKey === "pack") {
      killed = true;
      await end(worker, "SIGKILL");
      worker = startWorker(server.url, ledger);
      console.log(`              worker ${firstPid} was killed with SIGKILL; worker ${worker.pid} is starting`);
    }
    if (!approved && event.type === EventType.TIMER_FIRED && event.stepKey === "cool-down") {
      approved = true;
      await client.signal(run.runId, "approval", { by: "Ada" });
    }
  }
  const output = await client.result(run.runId);
  console.log(`\nresult: ${JSON.stringify(output)}\n`);
  const checks = createChecks();
  const calls = readFileSync(ledger, "utf8").trim().split("\n");
  const callsOf = (step: string) => calls.filter((line) => line.startsWith(`${step} `));
  const completed = events.filter((event) => event.type === EventType.STEP_COMPLETED).map((event) => event.stepKey);
  checks.check("the run is COMPLETED", events.at(-1)?.type === EventType.RUN_COMPLETED);
  checks.check("the payment failed twice, was retried, and succeeded", callsOf("charge").length === 3);
  checks.check("every step has one result", new Set(completed).size === 4 && completed.length === 4);
  checks.check(
    "the step that was finished before the kill was not called again",
    callsOf("charge").every((line) => line.endsWith(`pid ${firstPid}`)),
  );
  checks.check("the step in whose middle the worker died ran again on the new worker", callsOf("pack").length === 2);
  checks.check(
    "the parallel steps were called once each",
    callsOf("label").length === 1 && callsOf("mail").length === 1,
  );
  checks.check(
    "the sleep and the signal are in the history",
    ["TIMER_FIRED", "SIGNAL_CONSUMED"].every((name) =>
      events.some((event) => event.type === EventType[name as "TIMER_FIRED"]),
    ),
  );
  const sharing = await shareTheQueue(client, others, once);
  for (const { what, ok } of sharing.checks) checks.check(what, ok);
  for (const { language, why } of sharing.without) console.log(`  --     without ${language}: ${why}`);
  client.close();
  return { failed: checks.failed, runId: run.runId, without: sharing.without.map(({ language }) => language) };
}

leaveWhenTold();
const folder = once ? mkdtempSync(join(tmpdir(), "everstep-order-")) : ".everstep";
mkdirSync(folder, { recursive: true });
const ledger = join(folder, `order-${process.pid}.ledger`);
removeAtTheEnd(once ? folder : ledger);
writeFileSync(ledger, "");
const taken = !once && !(await isFree(port));
const listen = `127.0.0.1:${once || taken ? 0 : port}`;
const server = (await startServer({ db: join(folder, "everstep.db"), listen, leaseTtl: "2s" })) ?? (await leave(1));
console.log(`Everstep serves ${join(folder, "everstep.db")} at ${server.url}`);
if (taken) console.log(`Port ${port} is taken by another program: this time it is a port that was free.`);
const { failed, runId, without } = await carryOrderThrough(server, ledger).catch(async (error: unknown) => {
  if (!isEnding()) console.error(error); // else it is only that the server has ended
  return await leave(1);
});

if (once) {
  const but = without.length === 0 ? "" : `, but without ${without.join(" and ")}`;
  console.log(failed === 0 ? `\nall of it went as told${but}` : `\n${failed} of the above went otherwise`);
  await leave(failed === 0 ? 0 : 1);
}
const cli =
  server.url === `http://127.0.0.1:${port}`
    ? "npm run -s everstep --"
    : `EVERSTEP_ADDRESS=${server.url} npm run -s everstep --`;
console.log("\nThe server and its workers go on. In another terminal:");
console.log(`  ${cli} run start order --input '{"item":"lamp","amount":7}'`);
console.log(`  ${cli} run list`);
console.log(`  ${cli} run watch ${runId}`);
console.log(`  npx buf curl ${server.url}/everstep.v1.RunService/ListRuns -d '{}'`);
console.log("Ctrl-C ends them.");
