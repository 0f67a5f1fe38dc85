import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { program } from "../../scripts/programs.ts";
import { DiskFaults } from "../support/disk-faults.ts";
import { honestyOf } from "./disk-trace.ts";
import { type Rig, withRig } from "./rig.ts";
import { type Row, Tally } from "./row.ts";

// R6, R7, R30: what the kernel was asked to write and to sync, against what clients were told.

const run = promisify(execFile);
const imagesPerTrace = 100;

async function python<T>(script: string, ...args: string[]): Promise<T> {
  const { stdout } = await run("python3", [join(import.meta.dirname, script), ...args], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as T;
}

interface Traced {
  readonly trace: string;
  readonly ledger: string;
}

/** A load whose results are so large that the log is copied into the database (a checkpoint) in its middle. */
const copied = { lanes: 8, ops: 500, payloadBytes: 100_000 };

/** A server under a load of `ops` operations, killed behind it; every write and sync of it. */
async function traced(
  rig: Rig,
  options: {
    lanes: number;
    ops: number;
    payloadBytes?: number;
    lie?: "lie" | "lie-database";
    args?: readonly string[];
  },
): Promise<Traced> {
  const faults = new DiskFaults(rig.folder);
  if (options.lie) faults.begin(options.lie);
  const trace = join(rig.folder, "trace");
  await rig.serve({ env: { ...faults.env, EVERSTEP_TRACE: trace }, args: [...(options.args ?? [])] });
  const client = rig.client(
    "traced",
    "--lanes",
    String(options.lanes),
    "--ops",
    String(options.ops),
    "--payload-bytes",
    String(options.payloadBytes ?? 0),
    "--seed",
    String(Math.random()),
  );
  if ((await rig.exited(client)) !== 0) throw new Error("the client met what may never be");
  await rig.server.signal("SIGKILL");
  return { trace, ledger: rig.ledgers[0] as string };
}

interface Images {
  readonly images: number;
  /** Images in which writes that were not synced are really gone or torn. */
  readonly lost: number;
  readonly withUnsynced: number;
  /** Images in the midst of a checkpoint, and those in which a part of it is really gone. */
  readonly inCheckpoint: number;
  readonly databaseLost: number;
  /** Images that are said to lack acknowledged work, and those with which only something else is wrong. */
  readonly lostWork: number;
  readonly otherProblems: number;
  readonly demanded: number;
  readonly verified: number;
  /** Images whose log a server would call damaged. */
  readonly refused: string[];
  readonly problems: string[];
}

/** Images of the trace, until so many of them have lost something; a bounded number. */
function imagesOf(rig: Rig, { trace, ledger }: Traced, images: number): Promise<Images> {
  const verify = ["--verify", process.execPath, program("everstep"), "verify"];
  return python<Images>(
    "crash_images.py",
    trace,
    ledger,
    rig.folder,
    process.execPath,
    join(import.meta.dirname, "scan-logs.ts"),
    "--images",
    String(images),
    "--seed",
    String(Math.random()),
    ...verify,
  );
}

const loads = [copied, { lanes: 8, ops: 400 }, { lanes: 8, ops: 1_500 }];
/** Of the images of a load with a checkpoint, so many must lack writes to the database. A third of the calls are such. */
const databaseLostMin = 0.05;

const powerLoss: Row = {
  id: "R6",
  fault: "power cut at a random write of a traced run: unsynced writes kept in part, torn at a sector",
  trials: 2_000,
  async run(trials) {
    const tally = new Tally();
    for (let left = trials, number = 0; left > 0; left -= imagesPerTrace, number++) {
      await withRig(async (rig) => {
        const load = loads[number % loads.length] as (typeof loads)[number];
        const found = await imagesOf(rig, await traced(rig, load), Math.min(left, imagesPerTrace));
        if (load === copied && found.databaseLost < found.images * databaseLostMin) {
          tally.violations.push(`${found.databaseLost} of ${found.images} images lack a part of a checkpoint`);
        }
        tally.trials += Math.min(left, imagesPerTrace);
        // A draw may keep all that was written: then nothing was lost, and no power cut is proven.
        tally.fired += found.lost;
        tally.violations.push(...found.problems, ...found.refused);
        tally.add("images drawn", found.images);
        tally.add("images with unsynced writes", found.withUnsynced);
        tally.add("images in a checkpoint", found.inCheckpoint);
        tally.add("images that lack a part of it", found.databaseLost);
        tally.add("acknowledged operations demanded", found.demanded);
        tally.add("images that the server verified too", found.verified);
      });
    }
    return tally;
  },
};

const dishonesties = [
  { name: "relaxed", images: 20, load: { lanes: 8, ops: 400, args: ["--durability", "relaxed"] } },
  { name: "lying fsync", images: 20, load: { lanes: 8, ops: 400, lie: "lie" } },
  // The log is written over from its start behind a copy that only seemed to be on the disk. Most images are of before.
  { name: "lying fsync of the database", images: 60, load: { ...copied, lie: "lie-database" } },
] as const;

const negativeControl: Row = {
  id: "R7",
  fault:
    "R6 without honest syncs (in turn: --durability relaxed; fsync returns without syncing; only that of the database does, in a checkpoint): the checker must say that acknowledged work is lost",
  trials: 21,
  async run(trials) {
    const tally = new Tally();
    for (let number = 0; number < trials; number++) {
      const { name, images, load } = dishonesties[number % dishonesties.length] as (typeof dishonesties)[number];
      await tally.trial(name, () =>
        withRig(async (rig) => {
          const found = await imagesOf(rig, await traced(rig, load), images);
          tally.add(`${name}: images`, found.images);
          tally.add(`${name}: images with acknowledged work lost`, found.lostWork);
          tally.add(`${name}: images with other problems alone`, found.otherProblems);
          tally.add(`${name}: images whose log the server itself refuses`, found.refused.length);
          return {
            proof: found.withUnsynced > 0,
            violations: found.lostWork > 0 ? [] : ["the checker saw no loss of acknowledged work: it is blind"],
          };
        }),
      );
    }
    return tally;
  },
};

const honesty: Row = {
  id: "R30",
  fault:
    "10,000 operations, their acknowledgements held against the syncs: 2,000 one at a time, 8,000 from 64 at once, one in nine refused",
  trials: 2,
  async run() {
    const tally = new Tally();
    for (const [lanes, ops] of [
      [1, 2_000],
      [64, 8_000],
    ] as const) {
      await tally.trial(`${lanes} at once`, () =>
        withRig(async (rig) => {
          const { trace, ledger } = await traced(rig, { lanes, ops });
          const found = await honestyOf(trace, ledger);
          tally.figures[`acknowledged with ${lanes} at once`] = found.acknowledged;
          tally.figures[`syncs with ${lanes} at once`] = found.syncs;
          const { problems } = await rig.checkBoth();
          const violations = [...problems, ...found.bare.map((what) => `answered without a sync: ${what}`)];
          if (lanes === 1 && found.syncs < found.acknowledged) violations.push("fewer syncs than answers");
          if (lanes > 1 && found.syncs >= found.acknowledged) violations.push("no commit was shared");
          return { proof: found.acknowledged > ops / 2, violations };
        }),
      );
    }
    return tally;
  },
};

export const imageRows: readonly Row[] = [powerLoss, negativeControl, honesty];
