// npm run reconnects -- [--language go | --worker "COMMAND"] [--cuts 10000] [--eager]
//
// Cuts the stream of one worker some thousand times, right after each Welcome, while it holds leases and gets new runs.
// Prints what it holds as CSV. Fails when memory, goroutines (tasks) or descriptors have grown from the second quarter to
// the last, when a held lease was lost on the way, or when a run is left behind.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { Command } from "commander";
import { Client } from "../../clients/typescript/src/index.ts";
import { ServerProcess } from "../support/server-process.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import { soakLanguages, soakWorker } from "./soak-workers.ts";

const options = new Command("reconnects")
  .option("--language <name>", `one of ${soakLanguages.join(", ")}`, "go")
  .option("--worker <command>", "another worker (see soak-workers.ts), split at spaces")
  .option("--cuts <n>", "how often the stream is cut", Number, 10_000)
  .option("--samples <n>", "lines of the series", Number, 20)
  .option("--eager", "without jitter before a reconnect (the worker's SOAK_EAGER=1): minutes instead of half an hour")
  .parse()
  .opts<{ language: string; worker?: string; cuts: number; samples: number; eager?: true }>();

const heldRuns = 10;

interface Sample {
  readonly cuts: number;
  readonly seconds: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
  readonly live: number;
  readonly descriptors: number;
  readonly held: number;
}

const folder = mkdtempSync(join(tmpdir(), "everstep-reconnects-"));
const server = await ServerProcess.start({ db: join(folder, "everstep.db") });
const proxy = new CuttingProxy(server.url);
const address = await proxy.listen();
const [program = "", ...args] = options.worker?.split(" ") ?? soakWorker(options.language);
const worker = spawn(program, args, {
  stdio: ["pipe", "pipe", "inherit"],
  env: { ...process.env, EVERSTEP_ADDRESS: address, SOAK_EAGER: options.eager === true ? "1" : "0" },
});
const answers = createInterface({ input: worker.stdout })[Symbol.asyncIterator]();
const client = new Client({ address: server.url });
const startedAtMs = performance.now();

try {
  const holds = await Promise.all(Array.from({ length: heldRuns }, () => client.start("soak-hold")));
  const short: string[] = [];
  const series: Sample[] = [];
  console.log("cuts,seconds,rss_mib,heap_mib,live,descriptors,held");
  for (let next = 0; series.length <= options.samples; ) {
    if (proxy.cuts >= next) {
      const sample = await sampleOf(worker);
      series.push(sample);
      console.log(Object.values(sample).join(","));
      next = Math.round((series.length * options.cuts) / options.samples);
    }
    short.push((await client.start("soak-short")).runId);
    await pause(100);
  }
  proxy.cutting = false;
  for (const runId of short) await client.result(runId);
  const epochs = await Promise.all(holds.map(async (run) => (await run.get()).epoch));
  const faults = [
    ...grown(series),
    ...epochs.flatMap((epoch, at) => (epoch === 1 ? [] : [`hold ${at}: epoch ${epoch}`])),
  ];
  console.log(`${proxy.cuts} reconnects, ${short.length} short runs ended, ${heldRuns} leases held throughout`);
  for (const fault of faults) console.log(`FAILED ${fault}`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  client.close();
  worker.stdin.end();
  proxy.close();
  await server.signal("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
}

async function sampleOf(from: ChildProcess): Promise<Sample> {
  from.stdin?.write("\n");
  const { value } = await answers.next();
  const { live, heapMiB, held } = JSON.parse(value as string) as { live: number; heapMiB: number; held: number };
  const status = readFileSync(`/proc/${from.pid}/status`, "utf8");
  return {
    cuts: proxy.cuts,
    seconds: Math.round((performance.now() - startedAtMs) / 1_000),
    rssMiB: Math.round((Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1_024) * 10) / 10,
    heapMiB: Math.round(heapMiB * 10) / 10,
    live,
    descriptors: readdirSync(`/proc/${from.pid}/fd`).length,
    held,
  };
}

/** Compares the medians of the second and the last quarter; a connection that is just opening or closing is no leak. */
function grown(series: readonly Sample[]): string[] {
  const quarter = Math.floor(series.length / 4);
  const early = series.slice(quarter, 2 * quarter);
  const late = series.slice(-quarter);
  const median = (of: readonly Sample[], name: keyof Sample): number =>
    of.map((sample) => sample[name]).toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0;
  const allowed: Partial<Record<keyof Sample, (before: number) => number>> = {
    rssMiB: (before) => before * 1.2 + 8,
    heapMiB: (before) => before * 1.2 + 4,
    live: (before) => before * 1.5 + 40, // runs that are at work when the sample is taken have some
    descriptors: (before) => before + 5,
  };
  return Object.entries(allowed).flatMap(([name, most]) => {
    const [before, after] = [median(early, name as keyof Sample), median(late, name as keyof Sample)];
    return after <= most(before) ? [] : [`${name} grew from ${before} to ${after}`];
  });
}
