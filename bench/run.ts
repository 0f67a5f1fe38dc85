import { Command } from "commander";
import { core } from "./scenarios/core.ts";
import { run5 } from "./scenarios/run5.ts";
import { step } from "./scenarios/step.ts";
import type { Parameters, Result } from "./result.ts";

// npm run bench -- <scenario> [--in-flight N] [--seconds S] [--json]

const scenarios: Record<string, (parameters: Parameters) => Promise<Result>> = { core, step, run5 };

new Command("bench")
  .argument("<scenario>", Object.keys(scenarios).join(", "))
  .option("--in-flight <n>", "requests in flight", Number, 256)
  .option("--seconds <s>", "measured time", Number, 10)
  .option("--warm-up <s>", "time before it", Number, 3)
  .option("--json", "one JSON object a line")
  .action(async (name: string, options: { inFlight: number; seconds: number; warmUp: number; json?: boolean }) => {
    const scenario = scenarios[name];
    if (scenario === undefined) throw new Error(`no scenario ${name}; there are ${Object.keys(scenarios).join(", ")}`);
    const result = await scenario({
      inFlight: options.inFlight,
      seconds: options.seconds,
      warmUpSeconds: options.warmUp,
    });
    if (options.json === true) console.log(JSON.stringify(result));
    else console.table([result]);
    process.exit(0);
  })
  .parse();
