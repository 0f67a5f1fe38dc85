import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { commandLine } from "../../support/command-line.ts";
import { numberOption } from "../../support/number-option.ts";
import { plants } from "./plants.ts";
import { type Row, tableOf } from "./table.ts";
import { copyTree } from "./tree.ts";

// Can the simulator find what is there? Each planted bug is hunted from fresh seeds in a copy of the tree, several
// times; then the same seeds run in a copy without it, where they must pass. The table of all times is printed at the end, as
// Markdown for the README, and written into a file behind each hunt if one is named: who interrupts it keeps the rest.

const usage = "npm run simulate:exam [-- [--campaigns N] [--minutes M] [--only TEXT] [--out FILE] [--json]]";
const { values } = commandLine(usage, {
  options: {
    campaigns: { type: "string" },
    minutes: { type: "string" },
    only: { type: "string", default: "" },
    out: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

const campaigns = numberOption("campaigns", values.campaigns, 3, { min: 1 });
const minutes = numberOption("minutes", values.minutes, 10, { min: 0, whole: false });

interface Hunt {
  readonly seed: number;
  readonly seconds: number;
  readonly failure?: string;
}

/** A seed that takes longer than this does not end. Wall time: many thousand times what a seed takes. */
const seedMsMax = 60_000;

/** The last word of a hunter. Its seconds are processor time. */
async function hunt(folder: string, first: number, seeds: number): Promise<Hunt> {
  const script = join(folder, "test/simulation/exam/hunt.ts");
  const args = [script, first, seeds, minutes * 60].map(String);
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit") as Promise<[number | null]>;
  let last: Hunt = { seed: first, seconds: 0 };
  let stuck = false;
  const giveUp = (): void => {
    stuck = true;
    child.kill("SIGKILL");
  };
  let watchdog = setTimeout(giveUp, seedMsMax);
  for await (const line of createInterface({ input: child.stdout })) {
    last = JSON.parse(line) as Hunt;
    clearTimeout(watchdog);
    watchdog = setTimeout(giveUp, seedMsMax);
  }
  clearTimeout(watchdog);
  const [code] = await exited;
  if (stuck) return { ...last, seconds: last.seconds + seedMsMax / 1_000, failure: "the world does not end" };
  if (code !== 0) throw new Error(`the hunter died with ${code} at seed ${last.seed}`);
  return last;
}

const chosen = plants.filter(({ name }) => name.includes(values.only));
if (chosen.length === 0) {
  console.error(`--only: no plant has ${JSON.stringify(values.only)} in its name`);
  process.exit(2);
}
const sound = copyTree(undefined);
const rows: Row[] = [];
let missed = 0;
try {
  for (let campaign = 1; campaign <= campaigns; campaign++) {
    for (const plant of chosen) {
      const first = randomInt(2 ** 31);
      const tree = copyTree(plant);
      const found = await hunt(tree.folder, first, 2 ** 31);
      tree.remove();
      const again = await hunt(sound.folder, first, found.seed - first + 1);
      const passed = found.failure !== undefined && again.failure === undefined;
      if (!passed) missed += 1;
      const { name } = plant;
      const { seed, seconds, failure } = found;
      const row = { campaign, name, seed, seeds: seed - first + 1, seconds: Math.round(seconds * 10) / 10, failure };
      rows.push(row);
      if (values.out !== undefined) writeFileSync(values.out, `${tableOf(rows)}\n`);
      if (values.json) console.log(JSON.stringify({ ...row, alarm: again.failure }));
      else {
        console.log(
          `${campaign} | ${name} | ${failure === undefined ? "NOT FOUND" : `seed ${seed}`} | ${row.seconds} s | ${failure?.split("\n")[0] ?? ""}`,
        );
      }
      if (again.failure !== undefined) console.log(`seed ${again.seed} fails WITHOUT the plant: ${again.failure}`);
    }
  }
} finally {
  sound.remove();
}
if (!values.json) console.log(`\n${tableOf(rows)}\n`);
console.log(missed === 0 ? "all found" : `${missed} not found, or a false alarm`);
process.exitCode = missed === 0 ? 0 : 1;
