import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { DiskFaults } from "../support/disk-faults.ts";
import { root } from "../support/server-process.ts";
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

/** A server under a load of `ops` operations, killed in its middle; every write and sync of it. */
async function traced(
  rig: Rig,
  options: { lanes: number; ops: number; lie?: boolean; args?: string[] },
): Promise<Traced> {
  const faults = new DiskFaults(rig.folder);
  if (options.lie) faults.begin("lie");
  const trace = join(rig.folder, "trace");
  await rig.serve({ env: { ...faults.env, EVERSTEP_TRACE: trace }, args: options.args ?? [] });
  const client = rig.client(
    "traced",
    "--lanes",
    String(options.lanes),
    "--ops",
    String(options.ops),
    "--seed",
    String(Math.random()),
  );
  await rig.exited(client);
  await rig.server.signal("SIGKILL");
  return { trace, ledger: rig.ledgers[0] as string };
}

interface Images {
  readonly images: number;
  /** Images in which writes that were not synced are really gone or torn. */
  readonly lost: number;
  readonly withUnsynced: number;
  readonly lossy: number;
  readonly demanded: number;
  readonly verified: number;
  /** Images whose log a server would call damaged. */
  readonly refused: string[];
  readonly problems: string[];
}

/** Images of the trace, until so many of them have lost something; a bounded number. */
function imagesOf(rig: Rig, { trace, ledger }: Traced, images: number): Promise<Images> {
  const verify = ["--verify", process.execPath, join(root, "src/main.ts"), "verify"];
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

const powerLoss: Row = {
  id: "R6",
  fault: "power cut at a random write of a traced run: unsynced writes kept in part, torn at a sector",
  trials: 2_000,
  async run(trials) {
    const tally = new Tally();
    for (let left = trials, number = 0; left > 0; left -= imagesPerTrace, number++) {
      await withRig(async (rig) => {
        // Every other trace is long enough for the log to be copied into the database in its middle.
        const found = await imagesOf(
          rig,
          await traced(rig, { lanes: 8, ops: number % 2 === 0 ? 400 : 1_500 }),
          Math.min(left, imagesPerTrace),
        );
        tally.trials += Math.min(left, imagesPerTrace);
        // A draw may keep all that was written: then nothing was lost, and no power cut is proven.
        tally.fired += found.lost;
        tally.violations.push(...found.problems, ...found.refused);
        tally.add("images drawn", found.images);
        tally.add("images with unsynced writes", found.withUnsynced);
        tally.add("acknowledged operations demanded", found.demanded);
        tally.add("images that the server verified too", found.verified);
      });
    }
    return tally;
  },
};

const negativeControl: Row = {
  id: "R7",
  fault:
    "R6 without honest syncs (half: --durability relaxed; half: fsync returns without syncing): loss must be reported",
  trials: 20,
  async run(trials) {
    const tally = new Tally();
    for (let number = 0; number < trials; number++) {
      const lie = number % 2 === 1;
      await tally.trial(lie ? "lying fsync" : "relaxed", () =>
        withRig(async (rig) => {
          const args = lie ? [] : ["--durability", "relaxed"];
          const found = await imagesOf(rig, await traced(rig, { lanes: 8, ops: 400, lie, args }), 20);
          tally.add("images", found.images);
          tally.add("images with reported loss", found.lossy);
          if (lie) tally.add("images whose log the server itself refuses, where fsync lied", found.refused.length);
          return {
            proof: found.withUnsynced > 0,
            violations: found.lossy > 0 ? [] : ["the checker saw no loss: it is blind"],
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
          const found = await python<{ acknowledged: number; syncs: number; bare: string[] }>(
            "sync_honesty.py",
            trace,
            ledger,
          );
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
