import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Summary, SummaryRow } from "./suite.ts";

// The generated part of README.md: the newest results of each suite.

const begin = "<!-- results: written by npm run bench -->";
const end = "<!-- end of results -->";

export function writeTable(results: string, readme: string): void {
  const text = readFileSync(readme, "utf8");
  const [before] = text.split(begin) as [string];
  const after = text.slice(text.indexOf(end) + end.length);
  const parts = ["standard", "large", "peers"].flatMap((suite) => {
    const newest = readdirSync(results)
      .filter((name) => name.endsWith(`-${suite}.json`))
      .sort()
      .at(-1);
    return newest === undefined ? [] : [partOf(JSON.parse(readFileSync(join(results, newest), "utf8")) as Summary)];
  });
  writeFileSync(readme, `${before}${begin}\n\n${parts.join("\n")}\n${end}${after}`);
}

function partOf({ suite, date, commit, machine, rounds, results, ratios }: Summary): string {
  const lines = [
    `### ${suite}`,
    "",
    `${date}, commit ${commit}, ${rounds} alternating rounds, ${machine}.`,
    "",
    "| scenario | per second | smallest to largest | p50 ms | p99 ms | RSS MiB | more |",
    "|---|---:|---:|---:|---:|---:|---|",
    ...results.filter(({ entry }) => !entry.startsWith("curve")).map(lineOf),
    "",
  ];
  if (ratios.length > 0) {
    lines.push("| ratio of medians | measured | goal |", "|---|---:|---:|");
    for (const { name, ratio, goal } of ratios) lines.push(`| ${name} | ${ratio} | ${goal === 0 ? "" : goal} |`);
    lines.push("");
  }
  return lines.join("\n");
}

const common = ["scenario", "inFlight", "seconds", "opsPerSecond", "p50Ms", "p99Ms", "rssMiB", "durability"];

function lineOf({ entry, median, spread, runs }: SummaryRow): string {
  const more = Object.entries(median)
    .filter(([key]) => !common.includes(key))
    .map(([key, value]) => `${key} ${grouped(value)}`)
    .join(", ");
  const range = runs.length > 1 ? `${grouped(spread[0])} to ${grouped(spread[1])}` : "";
  const { opsPerSecond, p50Ms, p99Ms, rssMiB } = median;
  return `| ${entry} | ${grouped(opsPerSecond)} | ${range} | ${p50Ms} | ${p99Ms} | ${rssMiB} | ${more} |`;
}

function grouped(value: unknown): string {
  return typeof value === "number" ? value.toLocaleString("en-US") : String(value);
}
