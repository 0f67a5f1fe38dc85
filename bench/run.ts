import { Command } from "commander";
import { type Scenario, scenarios } from "./scenarios.ts";
import { runSuite } from "./suite.ts";
import { suites } from "./suites.ts";

// npm run bench                                                        the standard suite: JSON, plots, table
// npm run bench -- <suite> [--rounds N]                                another one: large, peers
// npm run bench -- <scenario> [--in-flight N] [--seconds S] [--json]   one scenario

interface Options {
  inFlight: number;
  seconds: number;
  warmUp: number;
  like: string;
  language: string;
  runsMax: number;
  peer: string;
  seedServer?: string;
  json?: boolean;
  rounds: number;
  only?: string;
}

const names = [...Object.keys(suites), ...Object.keys(scenarios)];

new Command("bench")
  .argument("[name]", `a suite or a scenario: ${names.join(", ")}`, "standard")
  .option("--in-flight <n>", "requests in flight", Number, 256)
  .option("--seconds <s>", "measured time", Number, 4)
  .option("--warm-up <s>", "time before it", Number, 2)
  .option("--like <scenario>", "for raw: whose rows and batches; core, start or acquire", "core")
  .option("--language <name>", "for run5: the SDK of the worker; for step: go or typescript", "")
  .option("--runs-max <n>", "for backlog: no longer backlog than this", Number, 1_000_000)
  .option("--peer <name>", "for peer: which one", "restate")
  .option("--seed-server <url>", "for peers: a server of the seed's JSON API")
  .option("--rounds <n>", "for suites: how often each repeated entry runs", Number, 3)
  .option("--only <names>", "for suites: entries whose names begin so, with commas; results are only printed")
  .option("--json", "one JSON object a line")
  .action(async (name: string, options: Options) => {
    if (name in suites) {
      const only = options.only?.split(",");
      const extra = options.seedServer === undefined ? [] : ["--seed-server", options.seedServer];
      runSuite({ name, rounds: options.rounds, only, extra });
    } else await runScenario(name, options);
    process.exit(0);
  })
  .parse();

async function runScenario(name: string, { warmUp, json, ...options }: Options): Promise<void> {
  const scenario = (scenarios as Record<string, Scenario>)[name];
  if (scenario === undefined) throw new Error(`there is no ${name}; there are ${names.join(", ")}`);
  const results = await scenario({ ...options, warmUpSeconds: warmUp });
  if (json === true) for (const result of results) console.log(JSON.stringify(result));
  else console.table(results);
}
