import { Command } from "commander";
import { languages, prepareDriver } from "../wire/languages.ts";
import { runFleet } from "./fleet.ts";

const options = new Command("fleet")
  .description("Two workers of each language under kill -9 of workers and server.")
  .option("--runs <n>", "five-step runs", "5000")
  .option("--worker-kills <n>", "kills of random workers", "30")
  .option("--server-kills <n>", "kills of the server", "10")
  .parse()
  .opts<{ runs: string; workerKills: string; serverKills: string }>();

const drivers = languages.map(prepareDriver).filter((driver) => {
  if ("command" in driver) return true;
  console.log(`SKIPPED ${driver.language}: ${driver.why}`);
  return false;
});
const report = await runFleet({
  drivers: drivers as Extract<(typeof drivers)[number], { command: unknown }>[],
  runs: Number(options.runs),
  workerKills: Number(options.workerKills),
  serverKills: Number(options.serverKills),
});
console.log(JSON.stringify(report));
process.exitCode = report.problems.length === 0 ? 0 : 1;
