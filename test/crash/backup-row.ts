import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { DiskFaults } from "../support/disk-faults.ts";
import { ServerProcess } from "../support/server-process.ts";
import { isStopped, type Rig, sdks, until, withRig } from "./rig.ts";
import { type Row, Tally } from "./row.ts";
import { listedRuns } from "./served-truth.ts";

// R29: the file is copied while it is written, while its server is killed, and by a copier that is killed itself.

const suffixes = ["", "-wal", "-shm", "-journal", ".lock", ".lock-journal"];

function remove(db: string): void {
  for (const suffix of suffixes) rmSync(db + suffix, { force: true });
}

/** A write in the first half of a copy: each page of the file is written at least once. */
function someWrite(rig: Rig): number {
  const database = new SqliteDatabase(rig.db, { readonly: true });
  const pages = database.pragma("page_count", { simple: true }) as number;
  database.close();
  return 1 + Math.floor((Math.random() * pages) / 2);
}

/** What is wrong with a whole copy that began at this instant: for its readers, and for the clients of a server on it. */
async function problemsOf(rig: Rig, copy: string, before: bigint): Promise<string[]> {
  // What was acknowledged before the copy began is in it.
  const { problems, runIds = [] } = await rig.check({ db: copy, before, ids: true });
  const said = await rig.verify(copy);
  const server = await ServerProcess.start({ db: copy });
  const listed = new Set(await listedRuns(server.url));
  await server.signal("SIGKILL");
  const missing = runIds.filter((runId) => !listed.has(runId));
  if (missing.length > 0 || listed.size !== runIds.length) {
    problems.push(`a server on the copy lists ${listed.size} runs of ${runIds.length}, without ${missing.slice(0, 5)}`);
  }
  return [...problems, ...said];
}

/** The copier stops before its first write or in the midst of them, the server is killed and comes back, and the copier goes on. */
async function overKilledServer(
  rig: Rig,
  faults: DiskFaults,
  copy: string,
): Promise<{ proof: boolean; whole: boolean }> {
  const copier = rig.backup(copy, faults.at("write", Math.random() < 0.5 ? 1 : someWrite(rig), "stop"));
  const end = rig.exited(copier);
  await until(() => copier.exitCode !== null || isStopped(copier), "the copier stops in the midst of its work");
  const proof = copier.exitCode === null && !existsSync(copy);
  await rig.server.signal("SIGKILL");
  await rig.serve();
  await rig.answered();
  copier.kill("SIGCONT");
  return { proof, whole: (await end) === 0 };
}

const kinds = ["under load", "over a kill of the server", "killed itself"] as const;

export const backups: Row = {
  id: "R29",
  fault:
    "the file is copied with `everstep backup` under load; in turn the server is killed in the midst of it, or the copier is; each copy is restored, read and served",
  trials: 51,
  run: (trials) =>
    withRig(async (rig) => {
      const tally = new Tally();
      await rig.serve();
      const client = rig.client("ledger", "--lanes", "4", "--sdk", "--seed", String(Math.random()));
      for (const sdk of sdks) rig.sdkWorker(sdk, sdk);
      for (let number = 1; number <= trials; number++) {
        const kind = kinds[number % kinds.length] as (typeof kinds)[number];
        await tally.trial(`copy ${number}, ${kind}`, async () => {
          await rig.answered();
          const copy = join(rig.folder, `copy-${number}.db`);
          const faults = new DiskFaults(join(rig.folder, String(number)));
          const violations: string[] = [];
          const writtenBefore = rig.acknowledged;
          let before = process.hrtime.bigint();
          let proof = true;
          let whole = true;
          if (kind === "over a kill of the server") {
            ({ proof, whole } = await overKilledServer(rig, faults, copy));
            tally.add(whole ? "over a kill of the server: whole" : "over a kill of the server: refused");
          } else {
            if (kind === "killed itself") {
              await rig.exited(rig.backup(copy, faults.at("write", someWrite(rig), "kill")));
              proof = faults.fired("kill") === 1 && existsSync(`${copy}.partial`);
              if (existsSync(copy)) violations.push("a copy that was cut off has the name of a whole one");
              tally.add("cut off");
              // The next one finds what this one left.
              before = process.hrtime.bigint();
            }
            whole = (await rig.exited(rig.backup(copy))) === 0;
            if (!whole) violations.push("the copy failed");
          }
          proof &&= rig.acknowledged > writtenBefore;
          if (existsSync(copy) !== whole) violations.push("a copy that failed is there, or one that did not is not");
          if (whole) violations.push(...(await problemsOf(rig, copy, before)));
          remove(copy);
          remove(`${copy}.partial`);
          return { proof, violations };
        });
      }
      tally.violations.push(...(await rig.endClient(client)));
      await rig.server.signal("SIGTERM");
      tally.violations.push(...(await rig.checkBoth()).problems);
      return tally;
    }),
};
