import { describe, expect, test } from "vitest";
import { type Driver, hasDriver, type Language, languages, prepareDriver } from "./languages.ts";
import { scenarioMsMax } from "./limits.ts";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenarios/all.ts";
import { readTable, tableOf } from "./table.ts";
import { trialsOf } from "./trials.ts";

// Every scenario for every language that is here; see README.md beside this.

const ci = process.env.CI === "true";
const available: Driver[] = [];

test("names are unique", () => {
  const names = scenarios.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)]);
});

// A language that has a driver keeps everything but what the scenario itself excuses; its scenarios below are the proof.
test("the table of clients/README.md is that of the scenarios", () => {
  expect(readTable()).toBe(tableOf(scenarios, (_, language) => (hasDriver(language as Language) ? "yes" : "no")));
});

for (const language of languages) {
  const driver = prepareDriver(language);
  if ("command" in driver) available.push(driver);
  else if (ci) test(`${language}: ${driver.why}`, () => expect.fail(`CI=true, and ${driver.why}`));
  else test.skip(`${language}: ${driver.why}`, () => {});
}

describe.concurrent("scenarios", { timeout: scenarioMsMax }, () => {
  for (const { name, scenario, drivers } of trialsOf(scenarios, available)) {
    test(name, () => runScenario(scenario, drivers));
  }
});
