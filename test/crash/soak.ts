// A long life under an ordinary load (row R25 of the reliability table): one server process on one file; workers that
// stay, streams that come and are torn down a hundred times a minute, watchers, signals, sleeps. What the server holds
// is sampled from outside every half minute; at the end the slope over the last hour says whether anything leaks, and
// results/R25.json keeps it beside the mean of every ten minutes.
//
//   npm run torture -- soak --minutes 150 [--rate 20]        one CSV line a sample on standard output
import { readdirSync, readFileSync, statSync } from "node:fs";
import { setInterval as every, setTimeout as pause } from "node:timers/promises";
import { commandLine } from "../support/command-line.ts";
import { Client, Worker, workflow } from "../../clients/typescript/src/index.ts";
import { RawSession } from "../support/raw-session.ts";
import { numberOption } from "../support/number-option.ts";
import { commitOfTree, record } from "./results.ts";
import { Rig } from "./rig.ts";
import { median, valueAt } from "./row.ts";

const { values } = commandLine("npm run torture -- soak [--minutes 150] [--rate 20]", {
  allowPositionals: true,
  options: { minutes: { type: "string" }, rate: { type: "string" } },
});
const minutes = numberOption("minutes", values.minutes, 150, { min: 1 });
const runsPerSecond = numberOption("rate", values.rate, 20, { min: 1 });
const sampleMs = 30_000;
const tornStreamMs = 600;
const rssSlopeMaxMiBPerHour = 1;
const slopeMinutes = 60;
const meanMinutes = 10;
/** Samples at either end of the last hour that are compared: one alone may have met a stream that was just open. */
const samplesCompared = 10;

interface Sample {
  readonly minute: number;
  readonly rssKiB: number;
  readonly heapKiB: number;
  readonly fds: number;
  readonly threads: number;
  readonly handles: number;
  readonly walKiB: number;
  readonly fileKiB: number;
  readonly runs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}
const columns = "minute rssKiB heapKiB fds threads handles walKiB fileKiB runs p50Ms p99Ms".split(" ");

const order = workflow("order", async (ctx, input: { patient: boolean }) => {
  await ctx.step("charge", () => ({ paid: 42 }));
  if (input.patient) {
    await ctx.sleep("cool-down", 6_000);
    await ctx.signal("approval", { timeoutMs: 60_000 });
  }
  await Promise.all([ctx.step("label", () => "label"), ctx.step("mail", () => "mail")]);
  return "done";
});

function sizeKiB(path: string): number {
  return Math.round((statSync(path, { throwIfNoEntry: false })?.size ?? 0) / 1024);
}

/** Least squares, in units of `value` per hour. */
function slopePerHour(samples: readonly Sample[], value: (sample: Sample) => number): number {
  const n = samples.length;
  const meanX = samples.reduce((sum, { minute }) => sum + minute, 0) / n;
  const meanY = samples.reduce((sum, sample) => sum + value(sample), 0) / n;
  let above = 0;
  let below = 0;
  for (const sample of samples) {
    above += (sample.minute - meanX) * (value(sample) - meanY);
    below += (sample.minute - meanX) ** 2;
  }
  return below === 0 ? 0 : (above / below) * 60;
}

/** What was resident on average, in MiB, in each whole ten minutes of the soak. */
function tenMinuteMeans(): string[] {
  return Array.from({ length: Math.floor(minutes / meanMinutes) }, (_, index) => {
    const within = samples.filter(({ minute }) => Math.floor(minute / meanMinutes) === index);
    return (within.reduce((sum, { rssKiB }) => sum + rssKiB, 0) / within.length / 1024).toFixed(1);
  });
}

const commit = commitOfTree();
const rig = await Rig.create([]);
const { db } = rig;
const server = await rig.serve();
const pid = server.child.pid as number;
const workers = [1, 2, 3].map(() => new Worker({ address: server.url, workflows: [order], capacity: 100 }).start());
const client = new Client({ address: server.url });
const startedAt = performance.now();
const samples: Sample[] = [];
let latenciesMs: number[] = [];
let runs = 0;
const underWay = new Set<Promise<void>>();
const failures: string[] = [];
let over = false;
let torn = 0;

async function oneRun(): Promise<void> {
  const patient = runs % 10 === 0;
  const begun = performance.now();
  runs += 1;
  try {
    const { runId } = await client.start("order", { input: { patient } });
    if (patient) await client.signal(runId, "approval", "yes");
    if (runs % 50 === 0) for await (const _event of client.watch(runId));
    await client.result(runId);
    if (!patient) latenciesMs.push(performance.now() - begun);
  } catch (error) {
    failures.push(String(error));
  }
}

async function load(): Promise<void> {
  for await (const _ of every(1_000 / runsPerSecond)) {
    if (over) return;
    const run = oneRun().finally(() => underWay.delete(run));
    underWay.add(run);
  }
}

async function tearStreams(): Promise<void> {
  for (let number = 0; !over; number++) {
    const raw = new RawSession(server.url);
    raw.hello({ workerInstanceId: `torn-stream-${number}`, queues: ["nobody"], workflows: ["order"] });
    const welcome = await raw.next("welcome").catch(() => undefined);
    raw.cut();
    // A Hello that was refused had no session to tear down.
    if (welcome !== undefined) torn += 1;
    await pause(tornStreamMs);
  }
}

async function sample(): Promise<void> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const metric = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1] ?? 0);
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  const [p50Ms, p99Ms] = [0.5, 0.99].map((q) => Math.round(valueAt(latenciesMs, q) * 10) / 10) as [number, number];
  latenciesMs = [];
  const taken: Sample = {
    minute: Math.round((performance.now() - startedAt) / 600) / 100,
    rssKiB: field("VmRSS"),
    heapKiB: Math.round(metric("nodejs_heap_size_used_bytes") / 1024),
    fds: readdirSync(`/proc/${pid}/fd`).length,
    threads: field("Threads"),
    handles: metric("nodejs_active_handles_total"),
    walKiB: sizeKiB(`${db}-wal`),
    fileKiB: sizeKiB(db),
    runs,
    p50Ms,
    p99Ms,
  };
  samples.push(taken);
  console.log(columns.map((column) => taken[column as keyof Sample]).join(","));
}

console.log(columns.join(","));
void load();
void tearStreams();
while (performance.now() - startedAt < minutes * 60_000) {
  await pause(Math.min(sampleMs, minutes * 60_000 - (performance.now() - startedAt)));
  await sample();
}
over = true;
await Promise.all(underWay);
const last = samples.filter(({ minute }) => minute > minutes - slopeMinutes);
const rssSlope = slopePerHour(last, ({ rssKiB }) => rssKiB) / 1024;
type Held = "fds" | "threads" | "handles";
const medianOf = (of: readonly Sample[], name: Held) => median(of.map((sample) => sample[name]));
const atFirst = (name: Held) => medianOf(last.slice(0, samplesCompared), name);
const atLast = (name: Held) => medianOf(last.slice(-samplesCompared), name);
const violations = failures.length === 0 ? [] : [`${failures.length} runs failed, the first: ${failures[0]}`];
if (rssSlope >= rssSlopeMaxMiBPerHour) violations.push(`resident memory grew by ${rssSlope} MiB an hour`);
for (const name of ["fds", "threads", "handles"] as const) {
  if (atLast(name) > atFirst(name)) violations.push(`${name} grew from ${atFirst(name)} to ${atLast(name)}`);
}
for (const worker of workers) worker.close();
client.close();
await server.signal("SIGTERM");
const { checked, problems } = await rig.checkBoth({ finished: true });
violations.push(...problems);
const round = (value: number) => Math.round(value * 100) / 100;
const firedStreams = torn > 0 ? 1 : 0;
const ok = record({
  id: "R25",
  fault: "a long life: an ordinary load, a hundred streams a minute torn down; the slope is that of the last hour",
  commit,
  seconds: minutes * 60,
  long: minutes >= 120,
  outcome: {
    trials: 1,
    fired: firedStreams,
    violations,
    figures: {
      minutes,
      runs,
      failures: failures.length,
      "runs read afterwards": checked.runs,
      "streams torn": torn,
      "RSS slope MiB an hour": round(rssSlope),
      "heap slope MiB an hour": round(slopePerHour(last, ({ heapKiB }) => heapKiB) / 1024),
      "RSS of ten-minute means MiB": tenMinuteMeans().join(", "),
      "RSS max MiB": Math.round(Math.max(...samples.map(({ rssKiB }) => rssKiB)) / 1024),
      "WAL max MiB": round(Math.max(...samples.map(({ walKiB }) => walKiB)) / 1024),
      "file descriptors": atLast("fds"),
      handles: atLast("handles"),
    },
  },
});
for (const failure of failures.slice(0, 5)) console.error(failure);
await rig.close();
process.exit(ok ? 0 : 1);
