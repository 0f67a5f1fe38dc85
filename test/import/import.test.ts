import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { afterAll, describe, expect, test } from "vitest";
import { Client } from "../../clients/typescript/src/client.ts";
import { Worker } from "../../clients/typescript/src/worker.ts";
import { workflow } from "../../clients/typescript/src/workflow.ts";
import { openSeedFile, type SeedRun } from "../../src/store/import/seed-file.ts";
import { openTarget } from "../../src/store/import/target.ts";
import { prepareDecisionReads } from "../../src/store/sqlite/statements.ts";
import { everstep } from "../cli/everstep.ts";
import { SeedClient } from "../json-api/seed-client.ts";
import { ServerProcess } from "../support/server-process.ts";
import { expectEqualFiles, expectVerified, importInto } from "./compare.ts";
import { buildSeedDatabase, firstCreatedAt, kindOf, seedId } from "./seed-database.ts";

// A file as the predecessor left it, brought in, compared row by row, verified, and worked to its end.
// IMPORT_WORKFLOWS=50000 is the long version (npm run import-proof).

const count = Number(process.env.IMPORT_WORKFLOWS ?? 400);
const folder = mkdtempSync(join(tmpdir(), "everstep-import-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const timeoutMs = 120_000 + count * 40;
/** Runs whose end is waited for at once. */
const atOnce = 500;

describe(`${count} workflows of all statuses`, () => {
  const from = join(folder, "workflows.db");
  const db = join(folder, "everstep.db");

  test("a dry run says what would come and makes no file", { timeout: timeoutMs }, async () => {
    buildSeedDatabase(from, count).close();
    const said = await everstep(["import", from, "--db", db, "--dry-run"]);
    expect(said.code).toBe(0);
    expect(said.err).toContain(`${count} of ${count} workflows would be brought in`);
    expect(existsSync(db)).toBe(false);
  });

  test("are there afterwards, with equal counts, histories and payloads; verify finds nothing", {
    timeout: timeoutMs,
  }, async () => {
    const said = await everstep(["import", from, "--db", db]);
    expect(said.code).toBe(0);
    expect(said.err).toContain(`${count} of ${count} workflows were brought in`);
    expect(said.err).toContain(`with ${sizes(from)}`);
    const woken = said.out.split("\n").filter((line) => line !== "");
    expect(woken.length).toBe(count / 8);
    expect(woken.every((line) => line.endsWith("it was WAITING for what has come meanwhile: it is QUEUED"))).toBe(true);
    expect(expectEqualFiles(from, db)).toBe(count);
    await expectVerified(db, count);
  });

  test("a second import changes nothing", { timeout: timeoutMs }, async () => {
    const { imported } = await importInto(from, db);
    expect(imported).toMatchObject({ imported: 0, present: count, refused: 0, events: 0 });
    await expectVerified(db, count);
  });

  test("the JSON API shows them as the predecessor did", { timeout: timeoutMs }, async () => {
    const copy = join(folder, "shown.db");
    await importInto(from, copy);
    const server = await ServerProcess.start({ db: copy });
    const file = openSeedFile(from);
    try {
      const client = new SeedClient(server.url);
      let number = 0;
      for (const run of file.runs()) {
        // A timer whose time has passed fires at the start: that one is another workflow by now.
        if (kindOf(number) !== "backing off") await expectShown(client, run);
        number += 1;
        if (number === 64) break;
      }
    } finally {
      file.close();
      await server.signal("SIGTERM");
    }
  });

  test("an Everstep worker brings them to their end, without repeating a step", { timeout: timeoutMs }, async () => {
    const server = await ServerProcess.start({ db });
    const client = new Client({ address: server.url });
    const repeated: string[] = [];
    const order = workflow("order", async (ctx) => {
      const outputs: unknown[] = [];
      for (const key of ["1", "2", "3"]) {
        outputs.push(
          await ctx.step(key, () => {
            if (key === "1" && firstStepIsDone.has(ctx.runId)) repeated.push(ctx.runId);
            return "by Everstep";
          }),
        );
      }
      return outputs;
    });
    const firstStepIsDone = new Set<string>();
    const open: number[] = [];
    for (let number = 0; number < count; number++) {
      const kind = kindOf(number);
      if (kind === "completed" || kind === "failed") continue;
      open.push(number);
      if (kind !== "fresh") firstStepIsDone.add(seedId(number));
    }
    const worker = new Worker({ address: server.url, workflows: [order], capacity: 200 }).start();
    try {
      for (let from = 0; from < open.length; from += atOnce) {
        const ended = open.slice(from, from + atOnce).map(async (number) => {
          if (kindOf(number) === "waiting for a signal") await client.signal(seedId(number), "approval", null);
          return client.result<unknown[]>(seedId(number));
        });
        for (const [at, outputs] of (await Promise.all(ended)).entries()) {
          const number = open[from + at] as number;
          const first = kindOf(number) === "fresh" ? "by Everstep" : { of: number, step: 1 };
          expect(outputs).toEqual([first, "by Everstep", "by Everstep"]);
        }
      }
      expect(repeated).toEqual([]);
    } finally {
      await worker.drain();
      client.close();
      await server.signal("SIGTERM");
    }
    await expectVerified(db, count);
  });
});

/** As the command says them. */
function sizes(path: string): string {
  const database = new SqliteDatabase(path, { readonly: true });
  const of = (table: string) => database.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
  const text = `${of("events")} events, ${of("steps")} steps, ${of("signals")} signals and ${of("timers")} timers`;
  database.close();
  return text;
}

async function expectShown(client: SeedClient, { workflow, events, steps, signals }: SeedRun): Promise<void> {
  const id = encodeURIComponent(workflow.workflow_id);
  const woken = workflow.status === "WAITING" && signals.length > 0;
  const requeued = workflow.status === "RUNNING" || woken;
  expect(await client.workflow(workflow.workflow_id)).toEqual({
    ...workflow,
    status: requeued ? "QUEUED" : workflow.status,
    lease_owner: null,
    lease_expires_at: null,
  });
  const list = async (path: string) => (await client.get(path)).body as Record<string, unknown>[];
  const shownEvents = (await list(`/events/${id}`)).map((event) => [event.event_type, event.sequence_number]);
  expect(shownEvents).toEqual(events.map(({ event_type }, index) => [event_type, index + 1]));
  // The predecessor gives a failed step an end; here an attempt has failed, and the step has not ended.
  const shownSteps = (await list(`/steps/${id}`)).map((step) => ({ ...step, completed_at: undefined }));
  expect(shownSteps).toEqual(steps.map((step) => ({ ...step, completed_at: undefined })));
  const shownSignals = (await list(`/signals/${id}`)).map((signal) => ({ ...signal, signal_id: undefined }));
  expect(shownSignals).toEqual(
    signals.map((signal) => ({ ...signal, signal_id: undefined, consumed: signal.consumed === 1 })),
  );
}

describe("what cannot be carried is named", () => {
  let files = 0;
  /** A file of 16 workflows, changed. */
  function seedFile(change: (database: Database) => void): { from: string; db: string } {
    files += 1;
    const from = join(folder, `changed-${files}.db`);
    const database = buildSeedDatabase(from, 16);
    change(database);
    database.close();
    return { from, db: join(folder, `into-${files}.db`) };
  }

  test("tables, columns and rows that belong to nothing", async () => {
    const { from, db } = seedFile((database) => {
      database.exec("CREATE TABLE audit (text TEXT)");
      database.exec("INSERT INTO audit VALUES ('a'), ('b')");
      database.exec("ALTER TABLE workflows ADD COLUMN tenant TEXT");
      database.exec("INSERT INTO timers (workflow_id, wake_at) VALUES ('nobody', 5)");
    });
    const { imported, losses } = await importInto(from, db);
    expect(imported.imported).toBe(16);
    expect(losses.filter(({ workflowId }) => workflowId === "").map(({ message }) => message)).toEqual([
      "column workflows.tenant is not known here: it is not carried",
      "1 rows of timers belong to no workflow: they are not carried",
      "table audit is not known here: its 2 rows are not carried",
    ]);
    await expectVerified(db, 16);
  });

  test("workflows that no call could name, and a status that nobody knows", async () => {
    const { from, db } = seedFile((database) => {
      const rename = database.prepare("UPDATE workflows SET workflow_id = ? WHERE workflow_id = ?");
      rename.run("é".repeat(5_000), "order-1");
      rename.run("two\nlines", "order-2");
      database.prepare("UPDATE workflows SET workflow_type = ? WHERE workflow_id = ?").run("t".repeat(257), "order-3");
      database.prepare("UPDATE workflows SET status = 'LOST' WHERE workflow_id = 'order-4'").run();
    });
    const { imported, losses } = await importInto(from, db);
    expect(imported).toMatchObject({ imported: 12, refused: 4 });
    const refused = losses.filter(({ message }) => message.startsWith("the workflow is not carried"));
    expect(refused.map(({ message }) => message.slice(29))).toEqual([
      "its id has 10000 bytes, the limit is 8192",
      "its id has a control character",
      "its type has 257 bytes, the limit is 256",
      'its status "LOST" is unknown',
    ]);
    const said = await everstep(["import", from, "--db", db]);
    expect(said.code).toBe(1);
    expect(said.out).toContain('workflow "two\\nlines": the workflow is not carried');
  });

  test("a late failure does not overwrite a completed step; text that is not JSON is carried as bytes", async () => {
    const { from, db } = seedFile((database) => {
      const id = "order-1";
      database.exec(`UPDATE steps SET status = 'FAILED' WHERE workflow_id = '${id}' AND step_number = 1`);
      database.exec(
        "INSERT INTO events (workflow_id, event_type, payload_json, sequence_number, created_at) " +
          `VALUES ('${id}', 'STEP_FAILED', '{"step_number":1,"error":"late"}', 99, ${firstCreatedAt + 50})`,
      );
      database.exec(`UPDATE steps SET output_json = 'plain' WHERE workflow_id = 'order-3'`);
    });
    const { losses } = await importInto(from, db);
    expect(losses.filter(({ workflowId }) => workflowId === "order-1").map(({ message }) => message)).toEqual([
      "STEP_FAILED of step 1 behind its completion",
      "step 1 is FAILED in the seed, but it was completed before: its completion stays",
    ]);
    expect(losses).toContainEqual({
      workflowId: "order-3",
      message: "the output of step 1 is not JSON: it is carried as bytes",
    });
    const completed = eventsOf(db, "order-3").find(({ type }) => type === "StepCompleted");
    expect(Buffer.from(completed!.payload!.data as Uint8Array).toString()).toBe("plain");
    expect(eventsOf(db, "order-1").filter(({ type }) => type === "StepAttemptFailed")).toEqual([]);
    await expectVerified(db, 16);
  });

  test("rows without events become events; events without an end do not end a workflow", async () => {
    const { from, db } = seedFile((database) => {
      database.exec("DELETE FROM events WHERE event_type <> 'WORKFLOW_CREATED'");
      database.exec(
        "INSERT INTO events (workflow_id, event_type, sequence_number, created_at) " +
          `VALUES ('order-1', 'WORKFLOW_COMPLETED', 50, ${firstCreatedAt + 50})`,
      );
    });
    const { imported, losses } = await importInto(from, db);
    expect(imported.imported).toBe(16);
    expect(losses).toContainEqual({
      workflowId: "order-1",
      message: "1 events of an end, but the workflow is RUNNING",
    });
    const types = eventsOf(db, "order-4").map(({ type }) => type);
    expect(types.filter((type) => type === "StepCompleted").length).toBe(3);
    expect(types.at(-1)).toBe("RunCompleted");
    await expectVerified(db, 16);
  });

  test("instants of the future, and wake-ups in centuries, do not move the server's clock", async () => {
    const nowMs = Date.now();
    const { from, db } = seedFile((database) => {
      database.exec("UPDATE events SET created_at = 99999999999 WHERE workflow_id = 'order-1' AND sequence_number > 2");
      database.exec("UPDATE timers SET wake_at = 9000000000000000 WHERE workflow_id = 'order-2'");
    });
    await importInto(from, db, nowMs);
    expect(eventsOf(db, "order-1").every(({ atMs }) => atMs <= nowMs)).toBe(true);
    const set = eventsOf(db, "order-2").find((event) => event.type === "TimerSet");
    expect((set as { detail?: unknown } | undefined)?.detail).toEqual({ firesAtMs: nowMs + 100_000_000_000_000 });
    await expectVerified(db, 16);
  });

  test("another run under the same id stays what it is", async () => {
    const { from, db } = seedFile(() => {});
    await importInto(from, db);
    const other = seedFile((database) => {
      database.exec("UPDATE workflows SET created_at = created_at + 5 WHERE workflow_id = 'order-5'");
    });
    const { imported, losses } = await importInto(other.from, db);
    expect(imported).toMatchObject({ imported: 0, present: 15, refused: 1 });
    expect(losses).toEqual([{ workflowId: "order-5", message: "the workflow is not carried: another run has its id" }]);
  });
});

describe("an import that cannot be", () => {
  test("ends before anything is written: a column is missing, it is no such file, a server holds the target", async () => {
    const db = join(folder, "not-made.db");
    const from = join(folder, "short.db");
    const database = buildSeedDatabase(from, 8);
    database.exec("ALTER TABLE steps DROP COLUMN input_json");
    database.close();
    const short = await everstep(["import", from, "--db", db, "--dry-run"]);
    expect(short).toMatchObject({ out: "" });
    expect(short.err).toContain("has no column steps.input_json");
    expect((await everstep(["import", join(folder, "nowhere.db"), "--db", db])).code).toBe(3);

    const whole = join(folder, "whole.db");
    buildSeedDatabase(whole, 8).close();
    const held = await openTarget(join(folder, "held.db"));
    const refused = await everstep(["import", whole, "--db", join(folder, "held.db")]);
    await held.close();
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain("in use");
    // The other way round: the predecessor's file is not served, and the message says what to do.
    const served = await everstep(["serve", "-db", whole, "-addr", "127.0.0.1:0"]);
    expect(served.code).not.toBe(0);
    expect(served.err).toContain("everstep import");
  });

  test("is simply run again after it was cut off", { timeout: timeoutMs }, async () => {
    const from = join(folder, "many.db");
    const db = join(folder, "cut.db");
    buildSeedDatabase(from, 2_600).close();
    const target = await openTarget(db);
    let commits = 0;
    const cut = {
      ...target,
      commit: async (batch: Parameters<typeof target.commit>[0]) => {
        commits += 1;
        if (commits > 1) throw new Error("cut off");
        await target.commit(batch);
      },
    };
    await expect(importInto(from, cut)).rejects.toThrow("cut off");
    const { imported } = await importInto(from, db);
    expect(imported.present).toBeGreaterThan(0);
    expect(imported.imported).toBeGreaterThan(0);
    expect(imported.present + imported.imported).toBe(2_600);
    expect(expectEqualFiles(from, db)).toBe(2_600);
    await expectVerified(db, 2_600);
  });
});

function eventsOf(path: string, runId: string) {
  const database = new SqliteDatabase(path, { readonly: true });
  try {
    const { findRun, readEvents } = prepareDecisionReads(database);
    return readEvents(findRun("default", runId)!.runNo, { afterSeq: 0, limit: 1_000, bytesMax: 1e9, throughSeq: 0 });
  } finally {
    database.close();
  }
}
