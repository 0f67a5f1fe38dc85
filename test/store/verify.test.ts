import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { type Problem, verifyFile } from "../../src/store/sqlite/verify.ts";
import { recordRun } from "./fixtures.ts";
import { useTemporaryFile } from "./temporary.ts";

describe("verify", () => {
  const file = useTemporaryFile();

  /** Run 1 completed, run 2 waiting with a timer, run 3 queued with a signal behind its row, run 4 failed and retried. */
  beforeEach(async () => {
    const store = await file.open();
    const lease = { leaseId: "0".repeat(32), ttlMs: 1_000, workerId: "w" };
    const failure = { type: "x", message: "y" };
    const done = recordRun(store, 1);
    done.add("RunCreated", { workflow: "order", queue: "main" }, { payload: { data: '"in"', encoding: "" } });
    done.add("LeaseGranted", lease, { epoch: 1 });
    done.add("StepCompleted", undefined, { stepKey: "a", epoch: 1, payload: { data: '"result"', encoding: "" } });
    done.add("LeaseEnded", { reason: "DONE" }, { epoch: 1 });
    done.add("RunCompleted", undefined);
    await done.commit();
    const waiting = recordRun(store, 2);
    waiting.add("RunCreated", { workflow: "order", queue: "main", timeoutAtMs: 9e12 });
    waiting.add("LeaseGranted", lease, { epoch: 1 });
    waiting.add("TimerSet", { firesAtMs: 8e12 }, { stepKey: "nap" });
    waiting.add("RunSuspended", { awaits: [{ kind: "timer", stepKey: "nap" }] });
    waiting.add("LeaseEnded", { reason: "SUSPENDED" });
    await waiting.commit();
    const queued = recordRun(store, 3);
    queued.add("RunCreated", { workflow: "order", queue: "main" });
    await queued.commit();
    const retried = recordRun(store, 4);
    retried.add("RunCreated", { workflow: "order", queue: "main" });
    retried.add("LeaseGranted", lease, { epoch: 1 });
    retried.add("StepFailed", { attempt: 1, failure }, { stepKey: "a" });
    retried.add("LeaseEnded", { reason: "DONE" }, { epoch: 1 });
    retried.add("RunFailed", { failure, failedSteps: ["a"] });
    retried.add("RunReopened", { voidedSteps: ["a"] });
    retried.add("LeaseGranted", lease, { epoch: 2 });
    await retried.commit();
    retried.add("StepCompleted", undefined, { stepKey: "a", epoch: 2 });
    await retried.commit();
    await store.close();
  });

  async function verify(): Promise<Problem[]> {
    const problems: Problem[] = [];
    const { problems: count } = await verifyFile(file.path, { onProblem: (problem) => problems.push(problem) });
    expect(count).toBe(problems.length);
    return problems;
  }
  function change(sql: string): void {
    file.tamper((database) => database.exec(sql));
  }
  function places(problems: Problem[]): (string | number)[][] {
    return problems.map(({ runNo, runId, seq }) => [runNo, runId, seq]);
  }

  test("a clean file has no problems, also beside a server", async () => {
    expect(await verify()).toEqual([]);
    await file.open();
    const verified = await verifyFile(file.path, { onProblem: () => {} });
    expect(verified).toEqual({ runs: 4, events: 19, problems: 0 });
  });

  test.each([
    ["status", "status = 6", /status "FAILED", its history "COMPLETED"/],
    ["version", "version = version + 1", /says version/],
    ["pause_reason", "pause_reason = 1", /says pauseReason "REQUESTED", its history none/],
    ["steps_completed", "steps_completed = 3", /says stepsCompleted 3, its history 1/],
    ["closed_at_ms", "closed_at_ms = 0", /says closedAtMs 0/],
    ["workflow", "workflow = 'x'", /says workflow "x", its history "order"/],
    ["rank", "rank = 5", /a rank although the run is COMPLETED/],
  ])("a changed column of a run row: %s", async (_column, set, message) => {
    change(`UPDATE runs SET ${set} WHERE run_no = 1`);
    const problems = await verify();
    expect(places(problems)).toEqual([[1, "run-1", 5]]);
    expect(problems[0]?.message).toMatch(message);
    expect(problems[0]?.known).toBe(false);
  });

  test("a status that there is not, and a row that is older than the history of a run that nobody has", async () => {
    change("UPDATE runs SET status = 77 WHERE run_no = 1");
    change("UPDATE runs SET last_seq = 4 WHERE run_no = 2");
    const told = (await verify()).map(({ runNo, message }) => `${runNo} ${message}`);
    expect(told).toContain("1 its row has status 77");
    expect(told).toContain("2 the run row is old: it says WAITING as of seq 4, its history WAITING");
  });

  test.each([
    ["commit_no = commit_no - 1", /the last commit is said to be 4, a run row is of 5/],
    ["newest_at_ms = 5", /the newest instant is said to be 5, an event is of/],
    ["newest_at_ms = newest_at_ms + (1 << 41)", /which is to come/],
  ])("a changed column of the file as a whole: %s", async (set, message) => {
    change(`UPDATE meta SET ${set}`);
    expect(await verify()).toEqual([expect.objectContaining({ runNo: 0, message: expect.stringMatching(message) })]);
  });

  test("a file without its row as a whole", async () => {
    change("DELETE FROM meta");
    expect(await verify()).toContainEqual(
      expect.objectContaining({ runNo: 0, message: expect.stringMatching(/missing/) }),
    );
  });

  test("deadlines that are missing, changed or one too many", async () => {
    change(`DELETE FROM deadlines WHERE kind = 'timer';
      UPDATE deadlines SET due_at_ms = 5 WHERE kind = 'runTimeout';
      INSERT INTO deadlines VALUES (1, 'cancel', '', 7)`);
    const messages = (await verify()).map(({ runId, message }) => `${runId}: ${message}`);
    expect(messages.sort()).toEqual([
      "run-1: the cancel deadline is in the file, but not in the history",
      "run-2: the runTimeout deadline is due at 5 in the file, at 9000000000000 in the history",
      'run-2: the timer deadline of step "nap" is missing',
    ]);
  });

  test("a queued run that nothing would find", async () => {
    change("UPDATE runs SET rank = NULL WHERE run_no = 3");
    const problems = await verify();
    expect(places(problems)).toEqual([[3, "run-3", 1]]);
    expect(problems[0]?.message).toBe("the available deadline is missing");
    change("UPDATE runs SET rank = 1 WHERE run_no = 3");
    expect((await verify())[0]?.message).toMatch(/says rank 1, its history/);
  });

  test("the last event deleted", async () => {
    change("DELETE FROM events WHERE run_no = 1 AND seq = 5");
    const problems = await verify();
    expect(places(problems)).toEqual([
      [0, "", 0],
      [1, "run-1", 5],
    ]);
    expect(problems[0]?.message).toBe("19 events were written, 18 are there");
    expect(problems[1]?.message).toBe("the event is missing: the run row says that the history goes to seq 5");
  });

  test("an event in the middle deleted", async () => {
    change("DELETE FROM events WHERE run_no = 1 AND seq = 3");
    expect(places(await verify())).toContainEqual([1, "run-1", 3]);
  });

  test("a flipped byte of a payload", async () => {
    change(`UPDATE events SET payload = '"resulu"' WHERE run_no = 1 AND seq = 3`);
    const problems = await verify();
    expect(places(problems)).toEqual([[1, "run-1", 3]]);
    expect(problems[0]?.message).toMatch(/CRC/);
  });

  test("a run that the server has set aside is known", async () => {
    change(`UPDATE events SET payload = '"resulu"' WHERE run_no = 1 AND seq = 3;
      UPDATE runs SET status = 4, pause_reason = 4 WHERE run_no = 1;
      UPDATE runs SET status = 8, pause_reason = 4, rank = NULL WHERE run_no = 3`);
    const problems = await verify();
    expect(places(problems)).toEqual([
      [1, "run-1", 3],
      [3, "run-3", 1],
    ]);
    expect(problems.every(({ known }) => known)).toBe(true);
  });

  test("events without a run, and a run without events", async () => {
    change("DELETE FROM runs WHERE run_no = 1; DELETE FROM events WHERE run_no = 2");
    const found = places(await verify());
    expect(found).toContainEqual([1, "", 1]);
    expect(found).toContainEqual([2, "run-2", 1]);
  });

  test("rows out of order, in which the search for the next run would go round for ever", async () => {
    let root = 0;
    file.tamper((database) => {
      root = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'runs'").pluck().get() as number;
    });
    // A leaf page has 8 bytes of header, then the place of each row, two bytes each: rows 3 and 4 change places.
    const at = (root - 1) * 4_096 + 8 + 2 * 2;
    const places = readFileSync(file.path).subarray(at, at + 4);
    const raw = openSync(file.path, "r+");
    writeSync(raw, Buffer.concat([places.subarray(2), places.subarray(0, 2)]), 0, 4, at);
    closeSync(raw);
    expect((await verify()).map(({ message }) => message)).toContainEqual(expect.stringMatching(/3 follows 4/));
  });

  test("pages that SQLite cannot read", async () => {
    let page = 0;
    file.tamper((database) => {
      page = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'runs_changed'").pluck().get() as number;
    });
    const descriptor = openSync(file.path, "r+");
    writeSync(descriptor, Buffer.alloc(4_096, 0xff), 0, 4_096, (page - 1) * 4_096);
    closeSync(descriptor);
    const problems = await verify();
    expect(places(problems)).toContainEqual([0, "", 0]);
    expect(problems[0]?.message).toMatch(/SQLite|malformed/);
  });
});
