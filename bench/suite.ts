import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { plotSuite } from "./plots.ts";
import type { Result } from "./result.ts";
import { writeTable } from "./table.ts";
import { type Entry, type Suite, suites } from "./suites.ts";

// Runs a suite: every entry in a process of its own, the repeated ones in rounds. Writes all results, with medians and
// spread, as one dated JSON file, the plots, and the table of README.md.

export interface Summary {
  readonly date: string;
  readonly suite: string;
  readonly commit: string;
  readonly machine: string;
  readonly rounds: number;
  readonly results: readonly SummaryRow[];
  readonly ratios: readonly { readonly name: string; readonly ratio: number; readonly goal: number }[];
}

/** The runs of one entry; where it gives several lines, those with the same labels belong together. */
export interface SummaryRow {
  readonly entry: string;
  readonly median: Result;
  /** Smallest and largest opsPerSecond. */
  readonly spread: readonly [number, number];
  readonly runs: readonly Result[];
}

const folder = join(import.meta.dirname, "results");

export function runSuite(options: { name: string; rounds: number; only: string[] | undefined; extra: string[] }): void {
  const suite = suites[options.name];
  if (suite === undefined) throw new Error(`no suite ${options.name}; there are ${Object.keys(suites).join(", ")}`);
  const chosen = suite.entries.filter(
    ({ name }) => options.only === undefined || options.only.some((part) => name.startsWith(part)),
  );
  const runs = new Map<string, Result[][]>();
  for (let round = 0; round < options.rounds; round++) {
    for (const entry of chosen) {
      if (round > 0 && !entry.repeated) continue;
      const results = runEntry(entry, options.extra);
      if (results.length > 0) runs.set(entry.name, [...(runs.get(entry.name) ?? []), results]);
    }
  }
  const summary = summarise(options.name, suite, options.rounds, runs);
  if (options.only !== undefined) {
    console.table(summary.results.map(({ entry, median }) => ({ entry, ...median })));
    return;
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${summary.date}-${summary.suite}.json`), `${JSON.stringify(summary, null, 1)}\n`);
  plotSuite(summary, folder);
  writeTable(folder, join(import.meta.dirname, "README.md"));
}

function runEntry(entry: Entry, extra: string[]): Result[] {
  const args = [join(import.meta.dirname, "run.ts"), ...entry.args, ...extra, "--json"];
  const { stdout, status } = spawnSync(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) {
    console.error(`${entry.name} failed with code ${status}: left out`);
    return [];
  }
  process.stdout.write(stdout);
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Result);
}

function summarise(name: string, suite: Suite, rounds: number, runs: ReadonlyMap<string, Result[][]>): Summary {
  const results = [...runs].flatMap(([entry, perRound]) =>
    (perRound[0] as Result[]).map((_, line) =>
      rowOf(
        entry,
        perRound.map((round) => round[line] as Result),
      ),
    ),
  );
  const rate = (entry: string) => results.find((row) => row.entry === entry)?.median.opsPerSecond;
  const ratios = suite.ratios.flatMap(({ name: ratioName, of, to, goal }) => {
    const [over, under] = [rate(of), rate(to)];
    if (over === undefined || under === undefined) return [];
    return [{ name: ratioName, ratio: Number((over / under).toFixed(2)), goal }];
  });
  return {
    date: new Date().toISOString().slice(0, 10),
    suite: name,
    commit: spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).stdout.trim(),
    machine: machine(),
    rounds,
    results,
    ratios,
  };
}

function rowOf(entry: string, runs: readonly Result[]): SummaryRow {
  const sorted = [...runs].sort((a, b) => a.opsPerSecond - b.opsPerSecond);
  return {
    entry,
    median: sorted[Math.floor((sorted.length - 1) / 2)] as Result,
    spread: [(sorted[0] as Result).opsPerSecond, (sorted.at(-1) as Result).opsPerSecond],
    runs,
  };
}

function machine(): string {
  const processors = cpus();
  const memoryGiB = Math.round(totalmem() / 1024 ** 3);
  return `${processors.length} cores (${processors[0]?.model ?? "unknown"}), ${memoryGiB} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
}
