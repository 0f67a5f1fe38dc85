import { join } from "node:path";
import { type DiskAction, type DiskCall, DiskFaults } from "../support/disk-faults.ts";
import { count, faultIn, honestyOf, lateEnd, readTrace, type TracedCall } from "./disk-trace.ts";
import { withRig } from "./rig.ts";
import { type Row, Tally } from "./row.ts";

// R2, R2w, R3, R5: one call of SQLite fails, counted from the start of the process, in a scripted run; the next trial
// lets the next call fail, until the script ends before the fault (SQLite's own method). A new server then serves the
// file, the client asks again for what was not answered and does ten more; then the file is read. Behind an error of the
// disk the first server must end within a second, and must not have acknowledged what a sync before the error does not
// cover: the file that is read afterwards has it all the same, from memory that no power cut has cleared.

const script = ["--lanes", "1", "--ops", "200", "--seed", "7"];
/** Large results: the log is copied into the database (a checkpoint) well before the script ends. Faults fall into that. */
const copyingScript = ["--lanes", "1", "--ops", "110", "--seed", "7", "--payload-bytes", "700000"];

/** From the failure of a copy to the last commit that may be acknowledged. The log is another file than the one that failed. */
const copyFailureToldNs = 5_000_000n;

interface Point {
  readonly script: readonly string[];
  readonly call: DiskCall;
  readonly number: number;
}

interface Trial {
  /** The fault has fired. */
  readonly proof: boolean;
  readonly violations: readonly string[];
  /** The client came to the end of its script, and the server made fewer such calls: there was nothing to fail. */
  readonly over: boolean;
  /** The server listened before the fault. */
  readonly serving: boolean;
  /** From an error of the disk to the end of the process. */
  readonly endMs?: number;
}

async function oneFault({ script, call, number }: Point, action: DiskAction): Promise<Trial> {
  return withRig(async (rig) => {
    const faults = new DiskFaults(rig.folder);
    const trace = join(rig.folder, "trace");
    const violations: string[] = [];
    // The fault may come before the server listens: the file is just being made then.
    const env = { ...faults.at(call, number, action), EVERSTEP_TRACE: trace };
    const first = await rig.serve({ env }).catch(() => undefined);
    let endedNs = process.hrtime.bigint();
    const client = rig.client("script", ...script, "--ops-after-loss", "10");
    const clientEnd = rig.exited(client);
    let finished = false;
    if (first !== undefined) {
      const serverEnd = first.ended().then(() => "server" as const);
      // A full disk is not the end of the server: it probes, finds room and goes on.
      const end = await Promise.race([serverEnd, clientEnd.then(() => "client" as const)]);
      endedNs = process.hrtime.bigint();
      finished = end === "client";
      if (end === "client" && faults.fired(action) > 0 && action !== "enospc") {
        violations.push(`the server went on after ${action} at ${call} ${number}`);
      }
      if (end === "server" && action !== "kill" && first.child.exitCode === 0)
        violations.push("the server ended with code 0");
      if (end === "client") await first.signal("SIGKILL");
    }
    const proof = faults.fired(action) === 1;
    const calls = readTrace(trace);
    const made = count(calls, call);
    await rig.serve();
    if ((await clientEnd) !== 0) violations.push("the client met what may never be");
    const { problems } = await rig.checkBoth();
    violations.push(...problems);
    const over = !proof && finished && made > 0 && made < number;
    const trial = { proof, violations, over, serving: first !== undefined };
    const fault = faultIn(calls);
    if (fault === undefined || action === "kill" || action === "enospc") return trial;
    // A copy of the log fails in another thread than the one that commits, which knows of it a moment later.
    const faultNs = fault.atNs + (fault.file === "d" ? copyFailureToldNs : 0n);
    const { bare } = await honestyOf(trace, rig.ledgers[0] as string, { faultNs, endedNs });
    violations.push(...bare.map((what) => `acknowledged without a sync before the fault: ${what}`));
    const { ms, violations: late } = lateEnd(fault.atNs, endedNs);
    violations.push(...late);
    return { ...trial, endMs: ms };
  });
}

/** What a whole script asks of the disk when nothing fails: until the server listens, and in all. */
async function asked(script: readonly string[]): Promise<{ opening: TracedCall[]; all: TracedCall[] }> {
  return withRig(async (rig) => {
    const trace = join(rig.folder, "trace");
    await rig.serve({ env: { ...new DiskFaults(rig.folder).env, EVERSTEP_TRACE: trace } });
    const opening = readTrace(trace);
    if ((await rig.exited(rig.client("count", ...script))) !== 0) throw new Error("the script failed");
    return { opening, all: readTrace(trace) };
  });
}

/**
 * These calls of the first checkpoint, which ends with the sync of the database. Counted for themselves: it goes on
 * beside the commits, and how many come before it, and how many checkpoints behind it, is not always the same.
 */
function inCheckpoint({ opening, all }: Awaited<ReturnType<typeof asked>>, call: DiskCall): Point[] {
  let syncsToCome = count(opening, "database-sync") + 1;
  const end = all.findIndex(({ call, file }) => call === "s" && file === "d" && --syncsToCome === 0);
  const [from, to] = [count(opening, call), count(all.slice(0, end + 1), call)];
  if (end === -1 || to === from) throw new Error("the log is not copied into the database: the script is too short");
  return Array.from({ length: to - from }, (_, index) => ({ script: copyingScript, call, number: from + index + 1 }));
}

function spread<T>(all: readonly T[], most: number): T[] {
  const stride = Math.max(1, all.length / most);
  return Array.from({ length: Math.min(most, all.length) }, (_, index) => all[Math.floor(index * stride)] as T);
}

/** Says whether the script was over before the fault. */
async function oneTrial(tally: Tally, point: Point, action: DiskAction): Promise<boolean> {
  const { call, number } = point;
  const inCheckpoint = point.script === copyingScript;
  let over = false;
  await tally.trial(`${action} at ${call} ${number}`, async () => {
    const trial = await oneFault(point, action);
    over = trial.over;
    if (trial.proof) tally.add(`${action} at ${inCheckpoint ? "a checkpoint's " : ""}${call}s`);
    if (trial.endMs !== undefined) tally.most("end behind the fault max ms", trial.endMs);
    // Only a checkpoint of a server that serves is what these trials are for.
    return inCheckpoint ? { ...trial, proof: trial.proof && trial.serving } : trial;
  });
  return over;
}

function everySync(id: string, action: DiskAction, fault: string): Row {
  return {
    id,
    fault: `${fault} of a 200-op script, and at both syncs of a checkpoint while the server serves`,
    trials: 1_000,
    async run(trials) {
      const tally = new Tally();
      const calls = await asked(copyingScript);
      const points = [...inCheckpoint(calls, "database-sync"), ...inCheckpoint(calls, "log-resync")];
      for (const point of points.slice(0, trials)) await oneTrial(tally, point, action);
      for (let number = 1; tally.trials < trials; number++) {
        // There are no more syncs, and this was no trial. Any other trial whose fault did not fire has failed.
        if (await oneTrial(tally, { script, call: "sync", number }, action)) {
          tally.trials -= 1;
          break;
        }
      }
      return tally;
    },
  };
}

function someWrites(id: string, actions: readonly DiskAction[], fault: string, trials: number): Row {
  return {
    id,
    fault: `${fault}, half of a 200-op script, half of a checkpoint while the server serves, spread evenly`,
    trials,
    async run(most) {
      const tally = new Tally();
      const each = Math.ceil(most / actions.length / 2);
      const copied = inCheckpoint(await asked(copyingScript), "database-write");
      const { length } = (await asked(script)).all.filter(({ call }) => call === "w");
      const all = Array.from({ length }, (_, index): Point => ({ script, call: "write", number: index + 1 }));
      for (const action of actions) {
        for (const point of [...spread(copied, each), ...spread(all, each)]) await oneTrial(tally, point, action);
      }
      return tally;
    },
  };
}

export const diskRows: readonly Row[] = [
  everySync("R2", "kill", "SIGKILL at each sync"),
  someWrites("R2w", ["kill"], "SIGKILL at writes", 200),
  everySync("R3", "eio", "EIO from each sync"),
  someWrites("R5", ["eio", "enospc", "short"], "EIO, ENOSPC or half of a write", 180),
];
