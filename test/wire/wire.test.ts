import { describe, expect, test } from "vitest";
import { type Driver, languages, prepareDriver } from "./languages.ts";
import { scenarioMsMax } from "./limits.ts";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenarios/all.ts";

// Every scenario for every language that is here; see README.md beside this.

const ci = process.env.CI === "true";
const available: Driver[] = [];

test("names are unique", () => {
  const names = scenarios.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)]);
});

for (const language of languages) {
  const driver = prepareDriver(language);
  if ("command" in driver) {
    available.push(driver);
    describe.concurrent(language, { timeout: scenarioMsMax }, () => {
      for (const scenario of scenarios) {
        if (scenario.server !== "scripted" && scenario.pairs) continue;
        test(scenario.name, () => runScenario(scenario, [driver]));
      }
    });
  } else if (ci) test(`${language}: ${driver.why}`, () => expect.fail(`CI=true, and ${driver.why}`));
  else describe.skip(`${language}: ${driver.why}`, () => test("all scenarios", () => {}));
}

describe.concurrent("two languages", { timeout: scenarioMsMax }, () => {
  for (const scenario of scenarios) {
    if (scenario.server === "scripted" || !scenario.pairs) continue;
    for (const one of available) {
      for (const other of available) {
        test(`${scenario.name}: ${one.language} and ${other.language}`, () => runScenario(scenario, [one, other]));
      }
    }
  }
});
