// The scenarios by command: npm run wire -- --help
import { Command } from "commander";
import { type Driver, languages, type Language, prepareDriver } from "./languages.ts";
import { scenariosAtOnce } from "./limits.ts";
import { runScenario } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios/all.ts";
import { tableOf, writeTable } from "./table.ts";
import { type Trial, trialsOf } from "./trials.ts";

const options = new Command("wire")
  .description("Runs the wire scenarios against the SDKs that are here, or against any driver.")
  .option("--driver <command>", "a driver that keeps the protocol of test/wire/README.md, split at spaces")
  .option("--language <name>", `one of ${languages.join(", ")}`)
  .option("--scenario <name>", "one scenario only")
  .option("--times <n>", "so many times in a row", "1")
  .option("--write-table", "writes what has passed into clients/README.md")
  .option("--list", "prints the names and what each proves")
  .parse()
  .opts<{ driver?: string; language?: Language; scenario?: string; times: string; writeTable?: true; list?: true }>();

const chosen = scenarios.filter(
  ({ name }) => options.scenario === undefined || options.scenario.split(",").includes(name),
);
if (chosen.length === 0) throw new Error(`there is no scenario ${options.scenario}; --list shows them`);

function drivers(): Driver[] {
  if (options.driver !== undefined) return [{ language: "", command: options.driver.split(" ") }];
  return (options.language === undefined ? languages : [options.language]).flatMap((language) => {
    const driver = prepareDriver(language);
    if ("command" in driver) return [driver];
    console.log(`SKIPPED ${language}: ${driver.why}`);
    return [];
  });
}

async function once(all: readonly Trial[]): Promise<Trial[]> {
  const waiting = [...all];
  const failed: Trial[] = [];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      try {
        await runScenario(next.scenario, next.drivers);
      } catch (error) {
        failed.push(next);
        console.log(`FAILED ${next.name}\n${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: scenariosAtOnce }, lane));
  return failed;
}

/** "yes" for what was run with a language and has not failed with it. */
function cellFrom(all: readonly Trial[], failed: readonly Trial[]) {
  return (scenario: Scenario, language: string): string => {
    const mine = (trial: Trial): boolean =>
      trial.scenario === scenario && trial.drivers.some((driver) => driver?.language === language);
    return all.some(mine) && !failed.some(mine) ? "yes" : "no";
  };
}

if (options.list) for (const { name, proves } of chosen) console.log(`${name}: ${proves}`);
else {
  const all = trialsOf(chosen, drivers());
  const failed: Trial[] = [];
  for (let time = 1; time <= Number(options.times); time += 1) {
    const startedAtMs = performance.now();
    const now = await once(all);
    failed.push(...now);
    const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
    console.log(`time ${time}: ${all.length - now.length} of ${all.length} passed in ${seconds} s`);
  }
  if (options.writeTable) writeTable(tableOf(chosen, cellFrom(all, failed)));
  process.exitCode = failed.length === 0 ? 0 : 1;
}
