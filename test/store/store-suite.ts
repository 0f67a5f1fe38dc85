import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newEvent } from "../../src/core/decision.ts";
import type { DeadlineRow, RunFilter, Store } from "../../src/store/store.ts";
import { committer, completed, created, everyEvent, rowOf, startMs } from "./fixtures.ts";

export interface StoreUnderTest {
  store: Store;
  /** Closes and opens it again; undefined when nothing outlives the process. */
  reopen: (() => Promise<Store>) | undefined;
  end(): Promise<void>;
}

const all: RunFilter = { namespace: "default", workflow: "", queue: "", statuses: [], runKey: "" };
const page = { afterSeq: 0, limit: 1_000, bytesMax: 1e9, throughSeq: 0 };

/** What every adapter promises. */
export function storeSuite(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name}: the port`, () => {
    let opened: StoreUnderTest;
    let store: Store;
    let commit: ReturnType<typeof committer>;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
      commit = committer(store);
    });
    afterEach(() => opened.end());

    test("a new store is empty", () => {
      expect(store.readMeta()).toEqual({ commitNo: 0, newestAtMs: 0, lastRunNo: 0 });
      expect(store.findRun("default", "run-1")).toBeUndefined();
      expect(store.getRun(1)).toBeUndefined();
      expect(store.readEvents(1, page)).toEqual([]);
      expect(store.findOp(1, 1, 1)).toEqual([]);
      expect(store.scanDeadlines({ after: undefined, limit: 10 })).toEqual([]);
      expect(store.listLeased()).toEqual([]);
    });

    test("events of every type, payload and detail come back as they went in", async () => {
      const events = everyEvent();
      const outcome = await commit({ events: events.map((event) => ({ runNo: 1, event })) });
      expect(outcome).toEqual({ kind: "durable" });
      expect(store.readEvents(1, page)).toEqual(events);
      expect(await store.readHistory(1, page)).toEqual(events);
      if (opened.reopen === undefined) return;
      store = await opened.reopen();
      expect(store.readEvents(1, page)).toEqual(events);
    });

    test("bytes that are a part of a larger buffer", async () => {
      const data = new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3);
      await commit({ events: [{ runNo: 1, event: newEvent("RunCompleted", 1, 1, undefined, payloadOf(data)) }] });
      expect(store.readEvents(1, page)[0]?.payload?.data).toEqual(new Uint8Array([2, 3]));
    });

    test("a page of events ends at its limit and before its bytes", async () => {
      const data = "x".repeat(100);
      const events = [1, 2, 3, 4].map((seq) => completed(seq, `s${seq}`, payloadOf(data)));
      await commit({ events: events.map((event) => ({ runNo: 1, event })) });
      const seqs = (options: Partial<typeof page>) =>
        store.readEvents(1, { ...page, ...options }).map((event) => event.seq);
      expect(seqs({ afterSeq: 1 })).toEqual([2, 3, 4]);
      expect(seqs({ limit: 2 })).toEqual([1, 2]);
      expect(seqs({ bytesMax: 200 })).toEqual([1, 2]);
      expect(seqs({ bytesMax: 199 })).toEqual([1]);
      expect(seqs({ bytesMax: 1, afterSeq: 2 })).toEqual([3]);
      expect(seqs({ afterSeq: 4 })).toEqual([]);
    });

    test("a history that ends before it is known to, not at a bound of the page, is damaged", async () => {
      const events = [1, 2, 3].map((seq) => completed(seq, `s${seq}`, payloadOf("x".repeat(100))));
      await commit({ events: events.map((event) => ({ runNo: 1, event })) });
      const read = (options: Partial<typeof page>) => store.readEvents(1, { ...page, ...options });
      expect(read({ throughSeq: 3 })).toHaveLength(3);
      expect(read({ throughSeq: 4, limit: 3 })).toHaveLength(3);
      expect(read({ throughSeq: 4, bytesMax: 200 })).toHaveLength(2);
      expect(read({ throughSeq: 4, afterSeq: 4 })).toEqual([]);
      const missing = { name: "CorruptRowError", runNo: 1, seq: 4, message: expect.stringContaining("missing") };
      for (const afterSeq of [0, 3]) {
        expect(() => read({ throughSeq: 4, afterSeq })).toThrow(expect.objectContaining(missing));
        await expect(store.readHistory(1, { ...page, throughSeq: 4, afterSeq })).rejects.toMatchObject(missing);
      }
      expect(() => store.readEvents(7, { ...page, throughSeq: 1 })).toThrow(/seq 1: the event is missing/);
    });

    test("rows come back whole, and are replaced whole", async () => {
      const first = rowOf(7, { runKey: "key", rank: 5, timeoutAtMs: 9, runId: `long ${"\u00e9".repeat(4_000)}` });
      await commit({ runs: [first] });
      expect(store.getRun(7)).toEqual({ ...first, commitNo: 1 });
      expect(store.findRun("default", first.runId)).toEqual({ ...first, commitNo: 1 });
      expect(store.findOpenRunByKey("default", "order", "key")?.runNo).toBe(7);
      const second = rowOf(7, {
        runId: first.runId,
        status: "PAUSED",
        pauseReason: "UNCERTAIN_EFFECT",
        cancelRequested: true,
        priority: 9,
        version: 4,
        stepsCompleted: 3,
        lastSeq: 12,
        epoch: 2,
        workerId: "w",
        updatedAtMs: startMs + 1,
        startedAtMs: startMs + 2,
        closedAtMs: startMs + 3,
        availableAtMs: startMs + 4,
      });
      await commit({ runs: [second] });
      expect(store.getRun(7)).toEqual({ ...second, commitNo: 2 });
      expect(store.findOpenRunByKey("default", "order", "key")).toBeUndefined();
      expect(store.readMeta()).toEqual({ commitNo: 2, newestAtMs: startMs + 2, lastRunNo: 7 });
    });

    test("meta outlives the process", async () => {
      await commit({ runs: [rowOf(3)] });
      if (opened.reopen !== undefined) store = await opened.reopen();
      expect(store.readMeta()).toEqual({ commitNo: 1, newestAtMs: startMs + 1, lastRunNo: 3 });
    });

    test("commits that are given together are written in order, and none behind one that failed", async () => {
      const batchOf = (commitNo: number, run: number) => ({
        commitNo,
        newestAtMs: startMs,
        events: [],
        runs: [rowOf(run)],
        deadlines: [],
      });
      const bad = { ...batchOf(3, 3), runs: [rowOf(3, { runId: "run-1" })] };
      const batches = [batchOf(1, 1), batchOf(2, 2), bad, batchOf(4, 4), batchOf(3, 5), batchOf(3, 6)];
      const outcomes = await Promise.all(batches.map((batch) => store.commit(batch)));
      expect(outcomes).toMatchObject([
        { kind: "durable" },
        { kind: "durable" },
        { kind: "constraint" },
        { kind: "constraint", message: expect.stringContaining("commit 4 does not follow") },
        { kind: "durable" },
        { kind: "constraint", message: expect.stringContaining("commit 3 does not follow") },
      ]);
      expect([1, 2, 3, 4, 5, 6].filter((runNo) => store.getRun(runNo) !== undefined)).toEqual([1, 2, 5]);
      expect(store.readMeta().commitNo).toBe(3);
    });

    describe("a broken constraint leaves nothing behind", () => {
      beforeEach(async () => {
        const events = [created(), completed(2, "a")].map((event) => ({ runNo: 1, event }));
        await commit({ events, runs: [rowOf(1, { runKey: "key" }), rowOf(2)] });
      });
      const cases: [string, Parameters<ReturnType<typeof committer>>[0]][] = [
        ["a seq that exists", { events: [{ runNo: 1, event: completed(2, "b") }] }],
        ["a seq twice", { events: [3, 3].map((seq) => ({ runNo: 1, event: created(seq) })) }],
        ["a second result", { events: [{ runNo: 1, event: completed(3, "a") }] }],
        [
          "a second result of another type",
          { events: [{ runNo: 1, event: newEvent("TimerFired", 3, 1, undefined, { stepKey: "a" }) }] },
        ],
        ["two results in one batch", { events: [3, 4].map((seq) => ({ runNo: 1, event: completed(seq, "b") })) }],
        ["a run id that exists", { runs: [rowOf(5, { runId: "run-1" })] }],
        ["a run number of another run", { runs: [rowOf(1, { runId: "other" })] }],
        ["a run key of an open run", { runs: [rowOf(5, { runKey: "key" })] }],
        ["two runs of one run key", { runs: [rowOf(5, { runKey: "k" }), rowOf(6, { runKey: "k" })] }],
      ];
      test.each(cases)("%s", async (_name, batch) => {
        const outcome = await commit({
          ...batch,
          events: [{ runNo: 9, event: created() }, ...(batch.events ?? [])],
          runs: [rowOf(9), ...(batch.runs ?? [])],
          deadlines: [{ op: "put", runNo: 9, kind: "timer", stepKey: "a", dueAtMs: 1 }],
        });
        expect(outcome.kind).toBe("constraint");
        expect(store.getRun(9)).toBeUndefined();
        expect(store.readEvents(9, page)).toEqual([]);
        expect(store.readEvents(1, page)).toHaveLength(2);
        expect(store.readDeadlines(9)).toEqual([]);
        expect(store.readMeta().commitNo).toBe(1);
        expect(await commit({ runs: [rowOf(9)] })).toEqual({ kind: "durable" });
      });
    });

    test("what is no broken constraint", async () => {
      await commit({ runs: [rowOf(1, { runKey: "key" }), rowOf(2, { namespace: "other", runId: "run-1" })] });
      const failed = newEvent(
        "StepFailed",
        1,
        1,
        { attempt: 1, failure: { type: "x", message: "" } },
        { stepKey: "a" },
      );
      expect(await commit({ events: [failed, completed(2, "a")].map((event) => ({ runNo: 1, event })) })).toEqual({
        kind: "durable",
      });
      // One run frees a key and another takes it, whichever comes first in the batch.
      const batch = { runs: [rowOf(3, { runKey: "key" }), rowOf(1, { runKey: "key", status: "FAILED" })] };
      expect(await commit(batch)).toEqual({ kind: "durable" });
      expect(store.findOpenRunByKey("default", "order", "key")?.runNo).toBe(3);
      expect(await commit({ runs: [rowOf(4, { runKey: "key", workflow: "mail" })] })).toEqual({ kind: "durable" });
    });

    test("the events of an op", async () => {
      const events = [
        created(),
        completed(2, "a", { epoch: 1, opId: 1, opDigest: 5 }),
        completed(3, "b", { epoch: 1, opId: 1 }),
        completed(4, "c", { epoch: 1, opId: 2 }),
        completed(5, "d", { epoch: 2, opId: 1 }),
      ];
      await commit({ events: events.map((event) => ({ runNo: 1, event })) });
      expect(store.findOp(1, 1, 1)).toEqual([events[1], events[2]]);
      expect(store.findOp(1, 2, 1)).toEqual([events[4]]);
      expect(store.findOp(1, 2, 2)).toEqual([]);
      expect(store.findOp(2, 1, 1)).toEqual([]);
    });

    test("runs that nobody has had are read together, each with its first event", async () => {
      const first = (text: string, more: object = {}) =>
        newEvent("RunCreated", 1, startMs, { workflow: "order", queue: "main", ...more }, payloadOf(text));
      const runs = [
        rowOf(1, { rank: 7, runId: "first" }),
        rowOf(2, { namespace: "else", rank: undefined }),
        rowOf(3, { rank: 8, lastSeq: 2 }),
        rowOf(4, { status: "WAITING" }),
        rowOf(5, { rank: 9 }),
        rowOf(6, { rank: 10 }),
        rowOf(7, { rank: 11 }),
        rowOf(8, { rank: 12, lastSeq: 1 }),
      ];
      const [one, two] = [first("a"), first("é".repeat(100), { runKey: "key" })];
      await commit({
        runs,
        events: [
          { runNo: 1, event: one },
          { runNo: 2, event: two },
          { runNo: 3, event: first("c") },
          { runNo: 3, event: completed(2, "s") },
          { runNo: 4, event: first("d") },
          { runNo: 5, event: first("x".repeat(1_100)) },
          { runNo: 6, event: first("f") },
          { runNo: 8, event: first("g") },
          { runNo: 8, event: completed(2, "s") },
        ],
      });
      const read = (...runNos: number[]) => store.readUngranted(runNos, 1_024).sort((a, b) => a.runNo - b.runNo);
      expect(read(2, 1, 3, 4, 5, 7, 8, 99)).toEqual([
        { runNo: 1, namespace: "default", runId: "first", rank: 7, created: one },
        { runNo: 2, namespace: "else", runId: "run-2", rank: undefined, created: two },
      ]);
      expect(read(6)).toMatchObject([{ runNo: 6 }]);
      expect(read()).toEqual([]);
      expect(store.readUngranted([5], 2_048)).toMatchObject([{ runNo: 5, created: { seq: 1 } }]);
    });

    test("a line is read in order of rank and number", async () => {
      const ranks = [30, 10, 20, 10, undefined, 10];
      await commit({
        runs: [
          ...ranks.map((rank, index) => rowOf(index + 1, { rank })),
          rowOf(20, { rank: 1, workflow: "mail" }),
          rowOf(21, { rank: 1, queue: "slow", workflow: "other" }),
          rowOf(22, { rank: 1, namespace: "else", workflow: "else" }),
          rowOf(23, { rank: 1, workflow: "mail" }),
        ],
      });
      const line = { namespace: "default", queue: "main", workflow: "order" };
      const scan = (afterRank: number, afterRunNo: number, limit = 10) =>
        store.scanLine({ ...line, afterRank, afterRunNo, limit }).map(({ rank, runNo }) => [rank, runNo]);
      expect(scan(0, 0)).toEqual([
        [10, 2],
        [10, 4],
        [10, 6],
        [20, 3],
        [30, 1],
      ]);
      expect(scan(Number.NEGATIVE_INFINITY, 0, 2)).toEqual([
        [10, 2],
        [10, 4],
      ]);
      expect(scan(10, 4)).toEqual([
        [10, 6],
        [20, 3],
        [30, 1],
      ]);
      expect(store.listLineWorkflows("default", "main")).toEqual(["mail", "order"]);
      await commit({ runs: [rowOf(2, { status: "RUNNING" }), rowOf(4, { rank: 40 })] });
      expect(scan(0, 0)).toEqual([
        [10, 6],
        [20, 3],
        [30, 1],
        [40, 4],
      ]);
      expect(store.listLeased().map((row) => row.runNo)).toEqual([2]);
    });

    test("deadlines are read in order, and put, replaced and deleted in order", async () => {
      const row = (dueAtMs: number, runNo: number, kind: DeadlineRow["kind"], stepKey = ""): DeadlineRow => ({
        dueAtMs,
        runNo,
        kind,
        stepKey,
      });
      const ordered = [
        row(1, 2, "timer", "z"),
        row(2, 1, "available"),
        row(2, 1, "runTimeout"),
        row(2, 1, "timer", "Z"),
        row(2, 1, "timer", "a"),
        row(2, 1, "timer", "\uffff"),
        row(2, 1, "timer", "\u{1f600}"),
        row(2, 2, "cancel"),
        row(3, 1, "stepTimeout", "a"),
      ];
      await commit({ deadlines: [...ordered].reverse().map((deadline) => ({ op: "put", ...deadline })) });
      expect(store.scanDeadlines({ after: undefined, limit: 100 })).toEqual(ordered);
      for (const [index, after] of ordered.entries()) {
        expect(store.scanDeadlines({ after, limit: 2 })).toEqual(ordered.slice(index + 1, index + 3));
      }
      expect(store.readDeadlines(2)).toEqual([row(2, 2, "cancel"), row(1, 2, "timer", "z")]);
      await commit({
        deadlines: [
          { op: "delete", runNo: 1, kind: "available", stepKey: "" },
          { op: "delete", runNo: 77, kind: "available", stepKey: "" },
          { op: "put", ...row(9, 2, "cancel") },
          { op: "put", ...row(5, 3, "pause") },
          { op: "delete", runNo: 3, kind: "pause", stepKey: "" },
          { op: "delete", runNo: 2, kind: "timer", stepKey: "z" },
          { op: "put", ...row(8, 2, "timer", "z") },
        ],
      });
      expect(store.readDeadlines(1)).toHaveLength(6);
      expect(store.readDeadlines(2)).toEqual([row(9, 2, "cancel"), row(8, 2, "timer", "z")]);
      expect(store.readDeadlines(3)).toEqual([]);
    });

    test("lists, counts and changes by filter and by page", async () => {
      await commit({ runs: [1, 2, 3].map((runNo) => rowOf(runNo)) });
      await commit({ runs: [rowOf(4, { workflow: "mail" }), rowOf(5, { queue: "slow", runKey: "k" })] });
      await commit({ runs: [rowOf(2, { status: "FAILED" }), rowOf(6, { namespace: "else" })] });
      const list = async (filter: Partial<RunFilter>, beforeRunNo = Number.MAX_SAFE_INTEGER, limit = 10) =>
        (await store.listRuns({ ...all, ...filter }, { beforeRunNo, limit })).map((row) => row.runNo);
      expect(await list({})).toEqual([5, 4, 3, 2, 1]);
      expect(await list({}, 5, 2)).toEqual([4, 3]);
      expect(await list({ workflow: "mail" })).toEqual([4]);
      expect(await list({ queue: "slow" })).toEqual([5]);
      expect(await list({ runKey: "k" })).toEqual([5]);
      expect(await list({ namespace: "else" })).toEqual([6]);
      expect(await list({ statuses: ["FAILED", "RUNNING"] })).toEqual([2]);
      expect(await list({ statuses: ["QUEUED"], workflow: "order", queue: "main" })).toEqual([3, 1]);
      expect((await store.listRuns(all, { beforeRunNo: 3, limit: 1 }))[0]).toEqual(store.getRun(2));

      expect(await store.countRuns(all)).toEqual([
        { status: "QUEUED", count: 4 },
        { status: "FAILED", count: 1 },
      ]);
      expect(await store.countRuns({ ...all, workflow: "nothing" })).toEqual([]);

      const changed = async (afterCommitNo: number, afterRunNo: number, limit = 10, filter: Partial<RunFilter> = {}) =>
        (await store.listChangedRuns({ ...all, ...filter }, { afterCommitNo, afterRunNo, limit })).map((row) => [
          row.commitNo,
          row.runNo,
        ]);
      expect(await changed(0, 0)).toEqual([
        [1, 1],
        [1, 3],
        [2, 4],
        [2, 5],
        [3, 2],
      ]);
      expect(await changed(1, 1, 2)).toEqual([
        [1, 3],
        [2, 4],
      ]);
      expect(await changed(1, Number.MAX_SAFE_INTEGER, 10, { statuses: ["QUEUED"] })).toEqual([
        [2, 4],
        [2, 5],
      ]);
      expect(await changed(3, 2)).toEqual([]);
    });

    test("statistics of steps", async () => {
      await commit({
        runs: [rowOf(1), rowOf(2), rowOf(3, { workflow: "mail" })],
        events: [
          { runNo: 1, event: completed(1, "a") },
          { runNo: 1, event: completed(2, "b", { startedAtMs: 0 }) },
          { runNo: 2, event: completed(1, "a", { startedAtMs: startMs + 5 }) },
          { runNo: 3, event: completed(1, "c") },
        ],
      });
      expect(await store.stepStats({ namespace: "default", workflow: "order", limit: 10 })).toEqual([
        { stepKey: "a", completed: 2, averageDurationMs: 7.5 },
        { stepKey: "b", completed: 1, averageDurationMs: 0 },
      ]);
      expect(await store.stepStats({ namespace: "default", workflow: "order", limit: 1 })).toHaveLength(1);
      expect(await store.stepStats({ namespace: "else", workflow: "order", limit: 1 })).toEqual([]);
    });

    test("a large commit, and a probe", async () => {
      const events = Array.from({ length: 8_192 }, (_, index) => completed(index + 1, `s${index}`, payloadOf("12345")));
      expect(await commit({ events: events.map((event) => ({ runNo: 1, event })) })).toEqual({ kind: "durable" });
      expect(await store.probe()).toEqual({ kind: "durable" });
      expect(await store.readHistory(1, { ...page, afterSeq: 8_190 })).toEqual(events.slice(8_190));
      expect(store.readMeta().commitNo).toBe(1);
    });
  });
}

function payloadOf(data: string | Uint8Array) {
  return { payload: { data, encoding: "" } };
}
