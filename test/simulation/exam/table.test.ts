import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tableOf } from "./table.ts";

test("the table has each plant once, with the time of every campaign in order", () => {
  const table = tableOf([
    { campaign: 1, name: "ack before commit", seeds: 1, seconds: 0.64, failure: "I1 told|early\n  at here" },
    { campaign: 1, name: "a lost timer", seeds: 1_798, seconds: 32.75, failure: "I12 it has not ended" },
    { campaign: 2, name: "ack before commit", seeds: 3, seconds: 0.9, failure: "I1 another" },
    { campaign: 2, name: "a lost timer", seeds: 20_000, seconds: 600.04 },
  ]);
  expect(table.split("\n")).toEqual([
    "3 of 4 hunts found their plant; the median of these is 0.9 s, the longest 32.8 s (a lost timer).",
    "",
    "| plant | seconds (seeds) in 2 campaigns | what failed |",
    "|---|---|---|",
    "| ack before commit | 0.6 (1), 0.9 (3) | I1 told\\|early |",
    "| a lost timer | 32.8 (1,798), NOT FOUND in 600 (20,000) | I12 it has not ended |",
  ]);
});

test("the median of an even number of hunts lies between the two in the middle", () => {
  const hunts = [8, 1, 4, 2].map((seconds, seeds) => ({
    campaign: 1,
    name: `${seeds}`,
    seeds,
    seconds,
    failure: "I1",
  }));
  expect(tableOf(hunts)).toContain("the median of these is 3 s, the longest 8 s (0).");
});

test("an exam that hunts nothing is not passed", () => {
  const command = [join(import.meta.dirname, "run.ts"), "--only", "no such plant"];
  const { status, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
  expect(status).toBe(2);
  expect(stderr).toBe('--only: no plant has "no such plant" in its name\n');
});
