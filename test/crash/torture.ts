// The long part of the proof, by command. A row runs its trials on real processes and files, writes what came of it to
// results/ROW.json and renews RESULTS.md from these files.
//
//   npm run torture -- R1 [--trials 100]     npm run torture -- soak [--minutes 150]     npm run torture (lists the rows)
//
// A row may count otherwise than it was asked: R2 and R3 end with the last sync of their script, R15 and R16 count the
// faults of a whole workload, which is run again until there are enough.
import { commandLine } from "../support/command-line.ts";
import { numberOption } from "../support/number-option.ts";
import { commitOfTree, record, renewTable } from "./results.ts";
import type { Row } from "./row.ts";
import { rows } from "./rows.ts";

/** Where the rows keep their files; a file system in memory is quicker, and as good where no disk is to fail. */
const folder = process.env.EVERSTEP_CRASH_FOLDER;
async function torture(row: Row, trials: number): Promise<boolean> {
  console.log(`${row.id}: ${row.fault}; ${trials} trials`);
  const commit = commitOfTree();
  const startedAtMs = performance.now();
  const outcome = await row.run(trials);
  const figures = { ...outcome.figures, ...(folder === undefined ? {} : { "files in": folder }) };
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const long = trials >= row.trials;
  return record({ id: row.id, fault: row.fault, outcome: { ...outcome, figures }, commit, seconds, long });
}

const usage = "npm run torture [-- ROW [--trials N] | soak [--minutes 150] [--rate 20] | results]";
const { values, positionals } = commandLine(usage, {
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
    if (name !== "") console.error(`there is no row ${name}`);
    const say = name === "" ? console.log : console.error;
    say("npm run torture -- ROW [--trials N]; rows and the most trials of their long run:");
    for (const { id, fault, trials } of rows) say(`  ${id.padEnd(6)} ${String(trials).padStart(5)}  ${fault}`);
    say("npm run torture -- soak [--minutes 150] [--rate 20]; row R25: a long life under an ordinary load");
    process.exit(name === "" ? 0 : 2);
  }
  process.exit((await torture(row, numberOption("trials", values.trials, row.trials, { min: 1 }))) ? 0 : 1);
}
