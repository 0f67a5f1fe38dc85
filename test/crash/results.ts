import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/server-process.ts";
import { type Outcome, passed } from "./row.ts";
import { rows } from "./rows.ts";

// What a row came to is kept as results/ROW.json, and RESULTS.md is the table of all of them.

const results = join(import.meta.dirname, "results");

interface Result extends Outcome {
  readonly id: string;
  readonly fault: string;
  readonly passed: boolean;
  readonly commit: string;
  readonly date: string;
  readonly seconds: number;
  /** Trials of the record that this failure took the place of: a short run must not follow on it as a proof. */
  readonly longest?: number;
}

/**
 * The commit that is tried, for the beginning of a row: hours later the tree may be another one. EVERSTEP_COMMIT names it
 * otherwise, where no branch has it; what is changed beside it is told in any case.
 */
export function commitOfTree(): string {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  // What rows that ran before have recorded is no change of what is tried.
  const changes = git("status", "--porcelain", "--", ".", ":!test/crash/results", ":!test/crash/RESULTS.md");
  const name = process.env.EVERSTEP_COMMIT ?? git("rev-parse", "--short", "HEAD");
  return name + (changes === "" ? "" : andChanges);
}
const andChanges = " and changes";

export function renewTable(): void {
  const all = readdirSync(results)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(results, name), "utf8")) as Result)
    .sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  const figures = (result: Result) =>
    Object.entries(result.figures ?? {})
      .map(([name, value]) => `${name} ${typeof value === "number" ? value.toLocaleString("en") : value}`)
      .join("; ");
  const lines = all.map((result) => {
    const { id, fault, trials, fired, violations } = result;
    // A row that says something else today has not passed as it is.
    const today = rows.find((row) => row.id === id)?.fault ?? fault;
    const verdict = result.passed
      ? `passed${fault === today ? "" : ", as the row was then"}`
      : `**${violations.length} violations**`;
    return `| ${id} | ${fault} | ${trials} | ${fired} | ${verdict} | ${figures(result)} | ${result.commit} | ${result.date} |`;
  });
  const head = [
    "# What was broken, how often, and what came of it",
    "",
    "Written by `npm run torture -- ROW` from `results/`. A trial whose fault did not fire counts as failed.",
    "A row that ran on a branch names the commit there, and the one that it landed as, behind others.",
    "",
    "| Row | Fault | Trials | Fired | Result | Figures | Commit | Date |",
    "| --- | --- | ---: | ---: | --- | --- | --- | --- |",
  ];
  writeFileSync(join(import.meta.dirname, "RESULTS.md"), `${[...head, ...lines].join("\n")}\n`);
}

/** The trials that are on record for the row; 0 when there is none. */
function recordedTrials(path: string): number {
  if (!existsSync(path)) return 0;
  const { trials, longest = trials } = JSON.parse(readFileSync(path, "utf8")) as Result;
  return longest;
}

/**
 * Keeps what a row came to, with the commit that it ran on; true when it passed. A run that was asked for less than the
 * row's long one and had fewer trials than the one on record, or none, and one of a tree with changes, are only printed: a
 * look at a row must not replace its proof. One that failed on a commit is kept always.
 */
export function record(row: {
  id: string;
  fault: string;
  outcome: Outcome;
  commit: string;
  seconds: number;
  long: boolean;
}): boolean {
  const { id, fault, outcome, commit, seconds, long } = row;
  const { trials, fired, figures = {} } = outcome;
  const result: Result = {
    id,
    fault,
    trials,
    fired,
    passed: passed(outcome),
    violations: outcome.violations.slice(0, 20),
    figures,
    commit,
    date: new Date().toISOString().slice(0, 16),
    seconds: Math.round(seconds),
  };
  mkdirSync(results, { recursive: true });
  const path = join(results, `${id}.json`);
  console.log(JSON.stringify(result));
  for (const violation of outcome.violations) console.log(`${id}: ${violation}`);
  const verdict = `${id} ${result.passed ? "passed" : "FAILED"}: ${trials} trials, the fault came in ${fired}`;
  const longer = long ? 0 : recordedTrials(path);
  const why = commit.endsWith(andChanges)
    ? "the tree has changes that no commit names"
    : result.passed && trials < longer
      ? `there is a run of ${longer} trials`
      : undefined;
  console.log(`${verdict}; ${why === undefined ? "recorded in test/crash/RESULTS.md" : `not recorded: ${why}`}`);
  if (why !== undefined) return result.passed;
  const kept = trials < longer ? { ...result, longest: longer } : result;
  writeFileSync(path, `${JSON.stringify(kept, undefined, 2)}\n`);
  renewTable();
  return result.passed;
}
