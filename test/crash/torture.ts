// The long part of the proof, by command. A row runs its trials on real processes and files, writes what came of it to
// results/ROW.json and renews RESULTS.md from these files.
//
//   npm run torture -- R1 [--trials 100]     npm run torture -- soak [--minutes 120]     npm run torture (lists the rows)
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../support/server-process.ts";
import { type Outcome, passed, type Row } from "./row.ts";
import { rows } from "./rows.ts";

/** Where the rows keep their files; a file system in memory is quicker, and as good where no disk is to fail. */
const folder = process.env.EVERSTEP_CRASH_FOLDER;
const results = join(import.meta.dirname, "results");

interface Result extends Outcome {
  readonly id: string;
  readonly fault: string;
  readonly passed: boolean;
  readonly commit: string;
  readonly date: string;
  readonly seconds: number;
}

function commit(): string {
  if (process.env.EVERSTEP_COMMIT !== undefined) return process.env.EVERSTEP_COMMIT;
  const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain") === "" ? "" : " and changes");
}

function renewTable(): void {
  const all = readdirSync(results)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(results, name), "utf8")) as Result)
    .sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  const figures = (result: Result) =>
    Object.entries(result.figures ?? {})
      .map(([name, value]) => `${name} ${typeof value === "number" ? value.toLocaleString("en") : value}`)
      .join("; ");
  const lines = all.map((result) => {
    const verdict = result.passed ? "passed" : `**${result.violations.length} violations**`;
    const { id, fault, trials, fired } = result;
    return `| ${id} | ${fault} | ${trials} | ${fired} | ${verdict} | ${figures(result)} | ${result.commit} | ${result.date} |`;
  });
  const head = [
    "# What was broken, how often, and what came of it",
    "",
    "Written by `npm run torture -- ROW` from `results/`. A trial whose fault did not fire counts as failed.",
    "",
    "| Row | Fault | Trials | Fired | Result | Figures | Commit | Date |",
    "| --- | --- | ---: | ---: | --- | --- | --- | --- |",
  ];
  writeFileSync(join(import.meta.dirname, "RESULTS.md"), `${[...head, ...lines].join("\n")}\n`);
}

async function torture(row: Row, trials: number): Promise<boolean> {
  console.log(`${row.id}: ${row.fault}; ${trials} trials`);
  const startedAtMs = performance.now();
  const outcome = await row.run(trials);
  const result: Result = {
    id: row.id,
    fault: row.fault,
    trials: outcome.trials,
    fired: outcome.fired,
    passed: passed(outcome),
    violations: outcome.violations.slice(0, 20),
    figures: { ...outcome.figures, ...(folder === undefined ? {} : { "files in": folder }) },
    commit: commit(),
    date: new Date().toISOString().slice(0, 16),
    seconds: Math.round((performance.now() - startedAtMs) / 1_000),
  };
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, `${row.id}.json`), `${JSON.stringify(result, undefined, 2)}\n`);
  renewTable();
  console.log(JSON.stringify(result));
  return result.passed;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { trials: { type: "string" }, minutes: { type: "string" }, rate: { type: "string" } },
});
const [name = ""] = positionals;
if (name === "soak") {
  await import("./soak.ts");
} else if (name === "results") {
  renewTable();
} else {
  const row = rows.find(({ id }) => id === name);
  if (row === undefined) {
    console.error("npm run torture -- ROW [--trials N]; rows and the trials of their long run:");
    for (const { id, fault, trials } of rows)
      console.error(`  ${id.padEnd(6)} ${String(trials).padStart(5)}  ${fault}`);
    process.exit(2);
  }
  process.exit((await torture(row, values.trials === undefined ? row.trials : Number(values.trials))) ? 0 : 1);
}
