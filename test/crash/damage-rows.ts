import { copyFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { Client } from "../../clients/typescript/src/index.ts";
import { type Rig, withRig } from "./rig.ts";
import { type Row, Tally } from "./row.ts";
import { ask, closedRuns, listedRuns, type Said, saidOf } from "./served-truth.ts";

// R8, R24, R28: a file that is not what the server left: with flipped bits or without its end, with a row that nobody can
// read, and from another version.

/** A file with some hundred runs, closed or killed. */
async function writtenFile(rig: Rig, end: "SIGTERM" | "SIGKILL"): Promise<void> {
  await rig.serve();
  const filler = rig.client("filler", "--lanes", "8", "--ops", "800", "--seed", String(Math.random()));
  if ((await rig.exited(filler)) !== 0) throw new Error("the client met what may never be");
  await rig.server.signal(end);
}

/** The number of the last commit in a copy of the file. */
function commitNoOf(db: string): number {
  const database = new SqliteDatabase(db);
  try {
    return database.prepare("SELECT commit_no FROM meta").pluck().get() as number;
  } finally {
    database.close();
  }
}

/** The refusals that say what is wrong: of a run's history, and of a part of the file that SQLite cannot follow. */
const saysDamage = /^data_loss: |: the file cannot be read: /;

/**
 * Serves the file, damaged or not. What a server says of ended runs must be the truth, or a refusal that says what is
 * wrong; of a file that `everstep verify` has nothing against it must be the truth.
 */
async function liesOf(rig: Rig, db: string, truth: Said, whole: boolean, tally: Tally): Promise<string[]> {
  const start = await rig.serve({ db }).catch((error: Error) => error);
  if (start instanceof Error) {
    tally.add("not served");
    return !whole && /(^|before it listened: )everstep: /m.test(start.message)
      ? []
      : [`not served, without a reason: ${start.message}`];
  }
  const said = await saidOf(rig.url, [...truth.keys()]);
  const lies: string[] = [];
  const hidden: string[] = [];
  let refused = 0;
  for (const [runId, about] of said) {
    // The index of ids has no checksum: a bit of it that rots hides a run, until verify tells. Counted by itself.
    if ("refused" in about && about.refused.startsWith("not_found") && !whole) hidden.push(runId);
    else if ("refused" in about && saysDamage.test(about.refused) && !whole) refused++;
    else if ("refused" in about) lies.push(`of ${runId}: ${about.refused}`);
    else if (about.text !== (truth.get(runId) as { text: string }).text) lies.push(`of ${runId} is said ${about.text}`);
  }
  tally.add(refused > 0 ? "served, runs of it refused" : "served");
  if (hidden.length > 0) tally.add("served, runs of it said not to be there");
  // Such an id is free for the server: StartRun with it, also the very request that was acknowledged, makes a second run
  // (3 of 3 when bits of ids were aimed at). Until verify tells, nothing in the file can: on record, and no violation.
  for (const runId of hidden) tally.add(`hidden run started again: ${await startedAgain(rig, runId, truth)}`);
  await rig.server.signal("SIGKILL");
  return lies;
}

/** What the request that started a run of the filler is answered when it is sent once more. */
async function startedAgain(rig: Rig, runId: string, truth: Said): Promise<string> {
  const [, input] = JSON.parse((truth.get(runId) as { text: string }).text) as [unknown, object];
  // The filler's lanes have a queue each; its runs are numbered behind that name.
  const queue = runId.slice(0, runId.lastIndexOf("-"));
  const request = { workflow: "crash", queue, runId, requestId: runId, input };
  const reply = await ask(rig.url, "StartRun", request).catch(() => undefined);
  if (reply === undefined) return "no answer";
  if (!reply.ok) return `refused ${reply.answer.code}`;
  return reply.answer.alreadyStarted === true ? "already started" : "a second run";
}

function bitRot(id: string, suffix: "" | "-wal", what: string): Row {
  return {
    id,
    fault: `one bit of ${what} is flipped, or up to 4 KiB of its end are cut off, while nothing serves it`,
    trials: 200,
    run: (trials) =>
      withRig(async (rig) => {
        const tally = new Tally();
        // A database that holds everything, or a log that does.
        await writtenFile(rig, suffix === "" ? "SIGTERM" : "SIGKILL");
        const files = ["", "-wal"]
          .filter((name) => existsSync(rig.db + name))
          .map((name) => ({ name, bytes: readFileSync(rig.db + name) }));
        const target = files.find(({ name }) => name === suffix);
        if (target === undefined) throw new Error("the file is not there");
        const damaged = join(rig.folder, "damaged.db");
        const restore = () => {
          for (const name of ["", "-wal", "-shm", ".lock"]) rmSync(damaged + name, { force: true });
          for (const { name, bytes } of files) writeFileSync(damaged + name, bytes);
        };
        restore();
        const lastCommit = commitNoOf(damaged);
        await rig.serve({ db: damaged });
        const closed = await closedRuns(rig.url);
        const truth = await saidOf(rig.url, closed);
        await rig.server.signal("SIGTERM");
        if (closed.length === 0 || [...truth.values()].some((said) => "refused" in said)) {
          throw new Error("the whole file has no ended run, or one that cannot be read");
        }
        for (let number = 0; number < trials; number++) {
          await tally.trial(`damage ${number}`, async () => {
            restore();
            const cut = number % 5 === 4;
            const at = Math.floor(Math.random() * target.bytes.length);
            const changed = Buffer.from(target.bytes);
            changed[at] = (changed[at] as number) ^ (1 << Math.floor(Math.random() * 8));
            if (cut) truncateSync(damaged + suffix, target.bytes.length - 1 - Math.floor(Math.random() * 4_095));
            else writeFileSync(damaged + suffix, changed);
            const proof = !readFileSync(damaged + suffix).equals(target.bytes);
            const where = cut ? "cut" : `bit of byte ${at}`;
            // Either the product says that something is wrong, or everything that was acknowledged is there.
            if ((await rig.verify(damaged)).length > 0) {
              tally.add("detected");
              const lies = await liesOf(rig, damaged, truth, false, tally);
              return { proof, violations: lies.slice(0, 1).map((lie) => `${where}: ${lie}`) };
            }
            const { problems } = await rig.check({ db: damaged });
            // A log that ends in the middle of its last commit is what every power cut may leave: nothing tells them apart.
            if (problems.length > 0 && cut && suffix === "-wal" && commitNoOf(damaged) === lastCommit - 1) {
              tally.add("the last commit is gone, as after a power cut");
              return { proof, violations: [] };
            }
            if (problems.length === 0) {
              tally.add("harmless");
              problems.push(...(await liesOf(rig, damaged, truth, true, tally)));
            }
            return { proof, violations: problems.slice(0, 1).map((problem) => `${where}: ${problem}`) };
          });
        }
        return tally;
      }),
  };
}

const poisonRow: Row = {
  id: "R24",
  fault: "one event of an open run is made unreadable in the file",
  trials: 20,
  run: (trials) =>
    withRig(async (rig) => {
      const tally = new Tally();
      await rig.serve();
      const client = new Client({ address: rig.url });
      const poisonedIds: string[] = [];
      for (let number = 0; number < trials; number++) {
        await tally.trial(`row ${number}`, async () => {
          const poisoned = await client.start("torture", { queue: "sdk", input: { signal: false } });
          poisonedIds.push(poisoned.runId);
          const others = await Promise.all(
            Array.from({ length: 5 }, () => client.start("torture", { queue: "sdk", input: {} })),
          );
          await rig.server.signal("SIGTERM");
          const database = new SqliteDatabase(rig.db);
          const { changes } = database
            .prepare(
              "UPDATE events SET payload = '{broken', detail = substr(detail, 1, 5) WHERE run_no = (SELECT run_no FROM runs WHERE run_id = ?) AND seq = 1",
            )
            .run(poisoned.runId);
          database.close();
          await rig.serve();
          const worker = rig.sdkWorker("typescript", `worker-${number}`);
          await Promise.all(others.map((run) => run.result({ timeoutMs: 30_000 })));
          const { status } = await client.get(poisoned.runId);
          await rig.end(worker);
          const violations = status === "PAUSED" ? [] : [`the run with the unreadable event is ${status}`];
          return { proof: changes === 1, violations };
        });
      }
      client.close();
      await rig.server.signal("SIGTERM");
      // Of all the others both readings must find nothing, and the product's own must name each of these.
      const { problems } = await rig.check({ finished: true, poisoned: poisonedIds });
      tally.violations.push(...problems, ...namesOnly(await rig.verifyAll(), poisonedIds));
      return tally;
    }),
};

/** What is wrong when `everstep verify` is to name just these runs. */
function namesOnly(said: readonly string[], runIds: readonly string[]): string[] {
  const isAbout = (line: string, runId: string) => line.startsWith(`run ${runId} seq `);
  const missed = runIds.filter((runId) => !said.some((line) => isAbout(line, runId)));
  const others = said.filter((line) => /^(run|the file)\b/.test(line) && !runIds.some((runId) => isAbout(line, runId)));
  return [...missed.map((runId) => `verify does not name ${runId}`), ...others.map((line) => `verify: ${line}`)];
}

const otherVersions: Row = {
  id: "R28",
  fault: "a file of a newer format, and of another program (kills at each sync of a first open are trials of R2)",
  trials: 3,
  run: () =>
    withRig(async (rig) => {
      const tally = new Tally();
      await writtenFile(rig, "SIGTERM");
      const before = await rig.check();
      const cases = [
        ["newer", "user_version = 1000", /newer program/],
        ["another program's", "application_id = 7", /not a file of Everstep/],
      ] as const;
      for (const [name, pragma, says] of cases) {
        await tally.trial(name, async () => {
          const copy = join(rig.folder, "other.db");
          copyFileSync(rig.db, copy);
          const database = new SqliteDatabase(copy);
          database.pragma(pragma);
          database.close();
          const bytes = readFileSync(copy);
          const proof = !bytes.equals(readFileSync(rig.db));
          const refusal = await rig.serve({ db: copy }).then(
            () => "it was served",
            (error: Error) => error.message,
          );
          const violations = says.test(refusal) ? [] : [refusal];
          if (!readFileSync(copy).equals(bytes)) violations.push("the file was changed");
          return { proof, violations };
        });
      }
      await tally.trial("its own", async () => {
        await rig.serve();
        const served = (await listedRuns(rig.url)).length;
        await rig.server.signal("SIGTERM");
        const after = await rig.check();
        const violations = [...after.problems, ...(await rig.verify())];
        if (after.runs !== before.runs) violations.push(`${before.runs} runs became ${after.runs}`);
        return { proof: served > 0, violations };
      });
      return tally;
    }),
};

export const damageRows: readonly Row[] = [
  bitRot("R8", "", "the database"),
  bitRot("R8w", "-wal", "the log"),
  poisonRow,
  otherVersions,
];
