import { readFileSync } from "node:fs";
import { type DiskAction, DiskFaults } from "../support/disk-faults.ts";
import { type Rig, until, withRig } from "./rig.ts";
import { type Row, Tally } from "./row.ts";

// R2, R3, R5: one call of SQLite fails, counted from the start of the process, in a scripted run of 200 operations; the
// next trial lets the next call fail, until the script ends before the fault (SQLite's own method). A new server then
// serves the file, the client asks again for what was not answered and does ten more; then the file is read.

const script = ["--lanes", "1", "--ops", "200", "--seed", "7"];

async function oneFault(call: "sync" | "write", number: number, action: DiskAction) {
  return withRig(async (rig) => {
    const faults = new DiskFaults(rig.folder);
    const violations: string[] = [];
    // The fault may come before the server listens: the file is just being made then.
    const first = await rig.serve({ env: faults.at(call, number, action) }).catch(() => undefined);
    const client = rig.client("script", ...script, "--ops-after-loss", "10");
    const clientEnd = rig.exited(client);
    if (first !== undefined) {
      const serverEnd = first.ended().then(() => "server" as const);
      // A full disk is not the end of the server: it probes, finds room and goes on.
      const end = await Promise.race([serverEnd, clientEnd.then(() => "client" as const)]);
      if (end === "client" && faults.fired(action) > 0 && action !== "enospc") {
        violations.push(`the server went on after ${action} at ${call} ${number}`);
      }
      if (end === "server" && action !== "kill" && first.child.exitCode === 0)
        violations.push("the server ended with code 0");
      if (end === "client") await first.signal("SIGKILL");
    }
    const proof = faults.fired(action) === 1;
    await rig.serve();
    await clientEnd;
    const { problems } = await rig.checkBoth();
    return { proof, violations: [...violations, ...problems] };
  });
}

function diskRow(
  id: string,
  call: "sync" | "write",
  actions: readonly DiskAction[],
  fault: string,
  trials: number,
): Row {
  return {
    id,
    fault,
    trials,
    async run(trialsMax) {
      const tally = new Tally();
      for (const action of actions) {
        const most = Math.ceil(trialsMax / actions.length);
        const points = call === "sync" ? most : await writesOfScript();
        const stride = Math.max(1, points / most);
        for (let at = 1; at <= points; at += stride) {
          const number = Math.floor(at);
          let proof = false;
          await tally.trial(`${action} at ${call} ${number}`, async () => {
            const trial = await oneFault(call, number, action);
            proof = trial.proof;
            return trial;
          });
          if (proof) tally.add(`${action} at ${call}s`);
          else if (call === "sync") {
            // The script ended first: there are no more syncs, and this was no trial.
            tally.trials -= 1;
            break;
          }
        }
      }
      return tally;
    },
  };
}

/** How many writes a whole script makes, from a trace. */
async function writesOfScript(): Promise<number> {
  return withRig(async (rig) => (await traced(rig)).filter((kind) => kind === "w").length);
}

async function traced(rig: Rig): Promise<string[]> {
  const faults = new DiskFaults(rig.folder);
  const trace = `${rig.folder}/trace`;
  await rig.serve({ env: { ...faults.env, EVERSTEP_TRACE: trace } });
  const client = rig.client("count", ...script);
  await until(() => client.exitCode !== null, "the script ends", 120_000);
  const bytes = readFileSync(trace);
  const kinds: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const kind = String.fromCharCode(bytes[at] as number);
    kinds.push(kind);
    at += 22 + (kind === "w" ? bytes.readUInt32LE(at + 18) : 0);
  }
  return kinds;
}

const everySync = 1_000;

export const diskRows: readonly Row[] = [
  diskRow("R2", "sync", ["kill"], "SIGKILL at each sync of a 200-op script", everySync),
  diskRow("R2w", "write", ["kill"], "SIGKILL at writes of a 200-op script, spread evenly", 200),
  diskRow("R3", "sync", ["eio"], "EIO from each sync of a 200-op script", everySync),
  diskRow(
    "R5",
    "write",
    ["eio", "enospc", "short"],
    "EIO, ENOSPC or half of a write, at writes of a 200-op script",
    300,
  ),
];
