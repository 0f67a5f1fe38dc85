import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { threadCallsMax } from "../../src/limits.ts";
import { backupFile } from "../../src/store/sqlite/backup.ts";
import { createSqliteStore } from "../../src/store/sqlite/store.ts";
import { verifyFile } from "../../src/store/sqlite/verify.ts";
import { CorruptRowError } from "../../src/store/store.ts";
import { committer, completed, created, recordRun, rowOf } from "./fixtures.ts";
import { storeSuite } from "./store-suite.ts";
import { useTemporaryFile } from "./temporary.ts";

storeSuite("sqlite", async () => {
  const directory = mkdtempSync(join(tmpdir(), "everstep-store-"));
  const path = join(directory, "everstep.db");
  let store = await createSqliteStore({ path });
  return {
    store,
    async reopen() {
      await store.close();
      store = await createSqliteStore({ path });
      return store;
    },
    async end() {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
});

const page = { afterSeq: 0, limit: 100, bytesMax: 1e6, throughSeq: 0 };

describe("the file", () => {
  const file = useTemporaryFile();

  test("is held by one server at a time, also under another name", async () => {
    const store = await file.open();
    await expect(createSqliteStore({ path: file.path })).rejects.toThrow(/everstep\.db is in use: another server/);
    await expect(createSqliteStore({ path: join(file.in("."), "everstep.db") })).rejects.toThrow("in use");
    // The refused attempts took nothing from the holder.
    expect(await committer(store)({ runs: [rowOf(1)] })).toEqual({ kind: "durable" });
    await expect(createSqliteStore({ path: file.path })).rejects.toThrow("in use");
    await store.close();
    await (await createSqliteStore({ path: file.path })).close();
  });

  test("of a newer version is refused, with both versions named", async () => {
    await (await file.open()).close();
    file.tamper((database) => database.pragma("user_version = 99"));
    await expect(file.open()).rejects.toThrow(/version 99 .*version 1/);
    file.tamper((database) => database.pragma("user_version = 1"));
    await file.open();
  });

  test("that is not ours is refused and left alone", async () => {
    file.tamper((database) => database.exec("CREATE TABLE other (x)"));
    await expect(file.open()).rejects.toThrow("is not a file of Everstep");
    writeFileSync(file.path, "no database at all, but long enough to look at".repeat(50));
    await expect(file.open()).rejects.toThrow(/not a database/);
  });

  test("and all beside it are for the owner only", async () => {
    const store = await file.open();
    await committer(store)({ runs: [rowOf(1)] });
    await store.backup(file.in("copy.db"));
    const names = readdirSync(file.in("."));
    expect(names).toEqual(
      expect.arrayContaining(["copy.db", "everstep.db-wal", "everstep.db-shm", "everstep.db.lock"]),
    );
    for (const name of names) expect([name, statSync(file.in(name)).mode & 0o777]).toEqual([name, 0o600]);
  });

  test("keeps every event of a large batch, whatever its columns hold and however many there are", async () => {
    const store = await file.open();
    const commit = committer(store);
    for (const count of [1, 3, 4, 31, 32, 33, 101]) {
      const events = Array.from({ length: count }, (_, index) => eventOf(index + 1));
      expect(await commit({ events: events.map((event) => ({ runNo: count, event })) })).toEqual({ kind: "durable" });
      const read = store.readEvents(count, { afterSeq: 0, limit: 200, bytesMax: 1e6, throughSeq: count });
      expect(read).toEqual(events);
    }
    function eventOf(seq: number) {
      if (seq % 7 === 0) return created(seq);
      const data = seq % 3 === 0 ? new Uint8Array([seq, 0]) : `"ä${seq}"`;
      const payload = seq % 5 === 0 ? undefined : { data, encoding: seq % 4 === 0 ? "json/zstd" : "" };
      return completed(seq, `step ${seq}`, { payload, epoch: 3, opId: seq, opDigest: 4_294_967_295 });
    }
  });

  test("forgets the events of a batch that was refused", async () => {
    const store = await file.open();
    const commit = committer(store);
    // One that is refused early, and one behind a statement of many rows that were fine.
    for (const length of [2, 40]) {
      const events = Array.from({ length }, (_, index) => completed(index + 1, `step ${index}`));
      const twice = [...events, events.at(-1) as (typeof events)[0]];
      const refused = await commit({ events: twice.map((event) => ({ runNo: 1, event })) });
      expect(refused).toMatchObject({ kind: "constraint" });
    }
    expect(await commit({ events: [{ runNo: 2, event: completed(1, "c") }] })).toEqual({ kind: "durable" });
    expect(store.readEvents(1, page)).toEqual([]);
    expect(store.readEvents(2, { ...page, throughSeq: 1 })).toHaveLength(1);
  });

  test("has no WAL behind a clean close", async () => {
    const store = await file.open();
    await committer(store)({ events: [{ runNo: 1, event: created() }] });
    await store.readHistory(1, page);
    expect(store.fileBytes().walBytes).toBeGreaterThan(0);
    await store.close();
    expect(existsSync(`${file.path}-wal`) || existsSync(`${file.path}-shm`)).toBe(false);
  });

  test("copies its log into the file while it is written, and begins it afresh before it is too long", async () => {
    const store = await file.open();
    const commit = committer(store);
    const before = store.fileBytes().databaseBytes;
    const mib = 1_024 * 1_024;
    const payload = { data: new Uint8Array(mib), encoding: "" };
    for (let runNo = 1; runNo <= 240; runNo++) await commit({ events: [{ runNo, event: { ...created(), payload } }] });
    const { databaseBytes, walBytes } = store.fileBytes();
    expect(databaseBytes - before).toBeGreaterThan(100 * mib);
    expect(walBytes).toBeLessThan(136 * mib);
    expect(store.readEvents(240, page)).toMatchObject([{ payload: { data: { byteLength: mib } } }]);
  });

  test("is synced with every commit: synchronous is FULL on every connection", async () => {
    const store = await file.open();
    expect(await store.synchronousModes()).toEqual([2, 2, 2, 2]);
  });

  test("takes at most 1.5 KiB for a run of five steps", async () => {
    const store = await file.open();
    const before = store.fileBytes().databaseBytes;
    const runs = 400;
    for (let runNo = 1; runNo <= runs; runNo++) await fiveSteps(recordRun(store, runNo));
    await store.close();
    expect((statSync(file.path).size - before) / runs).toBeLessThan(1_536);
  });
});

describe("corruption", () => {
  const file = useTemporaryFile();

  test("a changed row is noticed by those who read it", async () => {
    const store = await file.open();
    const payload = { data: '"hello"', encoding: "" };
    const events = [created(), completed(2, "a", { payload, epoch: 1, opId: 1 }), completed(3, "b")];
    await committer(store)({ events: events.map((event) => ({ runNo: 1, event })) });
    await store.close();
    file.tamper((database) => database.exec(`UPDATE events SET payload = '"hellp"' WHERE seq = 2`));
    const again = await file.open();
    expect(() => again.readEvents(1, page)).toThrow(CorruptRowError);
    expect(() => again.findOp(1, 1, 1)).toThrow(CorruptRowError);
    await expect(again.readHistory(1, page)).rejects.toMatchObject({ name: "CorruptRowError", runNo: 1, seq: 2 });
    await expect(again.readHistory(1, page)).rejects.toBeInstanceOf(CorruptRowError);
    expect(again.readEvents(1, { ...page, afterSeq: 2 })).toEqual([events[2]]);
  });

  test("any changed column is noticed", async () => {
    const store = await file.open();
    const payload = { data: new Uint8Array([1, 2]), encoding: "e" };
    await committer(store)({ events: [{ runNo: 1, event: completed(1, "a", { payload }) }] });
    const changes = [
      "type = 21",
      "epoch = 1",
      "op_id = 1",
      "step_key = 'b'",
      "started_at_ms = 1",
      "at_ms = 1",
      "payload = x'0103'",
      "payload = CAST(payload AS TEXT)",
      "payload = NULL",
      "encoding = 'f'",
      "detail = '{}'",
      "op_digest = 1",
      "crc = 0",
    ];
    for (const change of changes) {
      file.tamper((database) => {
        database.exec("CREATE TABLE kept AS SELECT * FROM events");
        database.exec(`UPDATE events SET ${change}`);
      });
      expect(() => store.readEvents(1, page), change).toThrow(CorruptRowError);
      file.tamper((database) =>
        database.exec("DELETE FROM events; INSERT INTO events SELECT * FROM kept; DROP TABLE kept"),
      );
      expect(store.readEvents(1, page)).toHaveLength(1);
    }
  });

  test("a missing event is noticed", async () => {
    const store = await file.open();
    await committer(store)({ events: [1, 2, 3].map((seq) => ({ runNo: 1, event: created(seq) })) });
    file.tamper((database) => database.exec("DELETE FROM events WHERE seq = 2"));
    expect(() => store.readEvents(1, page)).toThrow(/seq 2: the event is missing/);
  });

  test("pages that SQLite cannot follow are told as such, and cost nobody who does not need them", async () => {
    const store = await file.open();
    await committer(store)({ runs: [rowOf(1)], events: [{ runNo: 1, event: created() }] });
    await store.close();
    const bytes = readFileSync(file.path);
    const database = new SqliteDatabase(file.path, { readonly: true });
    const root = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").pluck().get() as number;
    const pageBytes = database.pragma("page_size", { simple: true }) as number;
    database.close();
    bytes.fill(0xff, (root - 1) * pageBytes, root * pageBytes);
    writeFileSync(file.path, bytes);
    const again = await file.open();
    const told = {
      name: "UnreadableFileError",
      message: expect.stringMatching(/^INTERNAL: the file cannot be read: .+everstep verify/),
    };
    expect(() => again.readEvents(1, page)).toThrow(expect.objectContaining(told));
    await expect(again.readHistory(1, page)).rejects.toMatchObject(told);
    expect(again.getRun(1)).toMatchObject({ runNo: 1 });
    await again.close();
  });

  test("an index that leads to another run's row is told, not believed", async () => {
    const store = await file.open();
    await committer(store)({
      runs: [rowOf(2, { runId: "two", runKey: "k" }), rowOf(3, { runId: "three", runKey: "l" })],
    });
    await store.close();
    const bytes = readFileSync(file.path);
    for (const key of ["defaulttwo", "defaultorderk"]) {
      // An entry of an index ends with the number of its run.
      const at = bytes.indexOf(`${key}\x02`);
      expect(at).toBeGreaterThan(0);
      expect(bytes.lastIndexOf(`${key}\x02`)).toBe(at);
      bytes[at + key.length] = 3;
    }
    writeFileSync(file.path, bytes);
    const again = await file.open();
    const told = /file cannot be read: an index of runs leads to run number 3, which is another one/;
    expect(() => again.findRun("default", "two")).toThrow(told);
    expect(() => again.findOpenRunByKey("default", "order", "k")).toThrow(told);
    expect(again.findRun("default", "three")).toMatchObject({ runNo: 3 });
  });

  test("an index entry whose text has become bytes ends the list of workflows", async () => {
    const store = await file.open();
    await committer(store)({ runs: [rowOf(1, { rank: 1 })] });
    await store.close();
    // The types of "default", "main" and "order", as they follow each other in the index of lines only.
    const bytes = readFileSync(file.path);
    const typesAt = bytes.indexOf(Buffer.from([0x1b, 0x15, 0x17]));
    expect(typesAt).toBeGreaterThan(0);
    bytes[typesAt + 2] = 0x16;
    writeFileSync(file.path, bytes);
    expect((await file.open()).listLineWorkflows("default", "main")).toEqual([]);
  });

  test("a row with a status that there is not is of a run that was set aside, and costs no other", async () => {
    const store = await file.open();
    await committer(store)({ runs: [rowOf(1), rowOf(2)] });
    file.tamper((database) => database.exec("UPDATE runs SET status = 77 WHERE run_no = 1"));
    const setAside = { runNo: 1, status: "PAUSED", pauseReason: "CORRUPT_HISTORY" };
    expect(store.getRun(1)).toMatchObject(setAside);
    const everything = { namespace: "default", workflow: "", queue: "", statuses: [], runKey: "" };
    const listed = await store.listRuns(everything, { beforeRunNo: 9, limit: 9 });
    expect(listed).toMatchObject([{ runNo: 2, status: "QUEUED" }, setAside]);
    expect(await store.countRuns(everything)).toEqual([
      { status: "QUEUED", count: 1 },
      { status: "PAUSED", count: 1 },
    ]);
  });
});

describe("many questions at once", () => {
  const file = useTemporaryFile();

  test("are all answered, in their order, and a close comes behind them", async () => {
    const store = await file.open();
    await committer(store)({ runs: [rowOf(1)], events: [{ runNo: 1, event: created() }] });
    const answered: number[] = [];
    const questions = Array.from({ length: 10 * threadCallsMax }, async (_, number) => {
      const history = await store.readHistory(1, page);
      answered.push(number);
      return history.length;
    });
    await store.close();
    expect(await Promise.all(questions)).toEqual(questions.map(() => 1));
    expect(answered).toEqual(questions.map((_, number) => number));
  });
});

describe("backup", () => {
  const file = useTemporaryFile();

  test("copies while commits go on; the copy opens and verifies", async () => {
    const store = await file.open();
    for (let runNo = 1; runNo <= 200; runNo++) await fiveSteps(recordRun(store, runNo));
    const backup = store.backup(file.in("copy.db"));
    for (let runNo = 201; runNo <= 220; runNo++) await fiveSteps(recordRun(store, runNo));
    await backup;
    const problems: string[] = [];
    const verified = await verifyFile(file.in("copy.db"), { onProblem: ({ message }) => problems.push(message) });
    expect(problems).toEqual([]);
    expect(verified.runs).toBeGreaterThanOrEqual(200);
    const copy = await createSqliteStore({ path: file.in("copy.db") });
    expect(copy.getRun(200)?.status).toBe("COMPLETED");
    await copy.close();
    await expect(store.backup(file.in("copy.db"))).rejects.toThrow("exists");
    await backupFile(file.path, file.in("second.db"));
    expect((await verifyFile(file.in("second.db"), { onProblem: () => {} })).problems).toBe(0);
  });
});

describe("the end of a thread", () => {
  const file = useTemporaryFile();

  test("a file that fails under the writer is fatal, once, and stays so", async () => {
    const told: string[] = [];
    const store = await file.open((message) => told.push(message));
    const commit = committer(store);
    file.tamper((database) => database.exec("DROP TABLE meta"));
    expect((await commit({ runs: [rowOf(1)] })).kind).toBe("fatal");
    expect((await commit({ runs: [rowOf(2)] })).kind).toBe("fatal");
    expect((await store.probe()).kind).toBe("fatal");
    expect(told).toHaveLength(1);
    expect(store.getRun(1)).toBeUndefined();
  });

  test("a commit that was given before the one in front of it failed is not written either", async () => {
    const store = await file.open(() => {});
    const batchOf = (commitNo: number) => ({ commitNo, newestAtMs: 1, events: [], runs: [], deadlines: [] });
    // The first meets a fault that is over when the second comes: its number would do.
    file.tamper((database) =>
      database.exec(
        "CREATE TRIGGER fault BEFORE UPDATE ON meta WHEN NEW.newest_at_ms = 7 BEGIN SELECT abs(-9223372036854775808); END",
      ),
    );
    const outcomes = await Promise.all(
      [{ ...batchOf(1), newestAtMs: 7 }, batchOf(1)].map((batch) => store.commit(batch)),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(["fatal", "fatal"]);
    expect(store.readMeta().commitNo).toBe(0);
  });
});

/** Thirteen events with payloads of 20 bytes, in the commits of a worker that takes its time. */
async function fiveSteps(run: ReturnType<typeof recordRun>): Promise<void> {
  const payload = { data: `"${"x".repeat(18)}"`, encoding: "" };
  run.add("RunCreated", { workflow: "order", queue: "main" }, { payload });
  await run.commit();
  run.add("LeaseGranted", { leaseId: "0123456789abcdef".repeat(2), ttlMs: 30_000, workerId: "worker-1" }, { epoch: 1 });
  await run.commit();
  for (let step = 1; step <= 5; step++) {
    const more = { epoch: 1, opId: step, opDigest: 2 ** 52 + step, stepKey: `step-${step}`, startedAtMs: 1.8e12 };
    run.add("StepStarted", { attempt: 1 }, more);
    run.add("StepCompleted", undefined, { ...more, opDigest: 0, payload });
  }
  run.add("LeaseEnded", { reason: "DONE" }, { epoch: 1 });
  run.add("RunCompleted", undefined, { epoch: 1, payload });
  await run.commit();
}
