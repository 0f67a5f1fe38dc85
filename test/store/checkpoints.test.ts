import { statSync } from "node:fs";
import SqliteDatabase from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { encodeBatch } from "../../src/store/sqlite/batch-codec.ts";
import { type Checkpoints, createCheckpoints } from "../../src/store/sqlite/checkpoints.ts";
import { copyWord, createCopyWords } from "../../src/store/sqlite/copy-state.ts";
import { copyLog, createGrowthCheck, type LogFrames } from "../../src/store/sqlite/log-copy.ts";
import { migrate } from "../../src/store/sqlite/migrate.ts";
import { checkpointFrames, openConnection, walFramesMax } from "../../src/store/sqlite/open.ts";
import { startThread } from "../../src/store/sqlite/thread.ts";
import { createWriter } from "../../src/store/sqlite/writer.ts";
import { created } from "./fixtures.ts";
import { useTemporaryFile } from "./temporary.ts";

/** The copies and restarts that were asked for, each to be answered by the test. */
class Hands {
  readonly asked: string[] = [];
  readonly fatal: string[] = [];
  readonly checkpoints: Checkpoints;
  #answer: ((frames: LogFrames | undefined) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  constructor() {
    const ask = (what: string) => () => {
      this.asked.push(what);
      return new Promise<LogFrames | undefined>((resolve, reject) => {
        this.#answer = resolve;
        this.#fail = reject;
      });
    };
    const onFatal = (message: string) => void this.fatal.push(message);
    this.checkpoints = createCheckpoints({ copy: ask("copy"), restart: ask("restart"), onFatal });
  }
  async answer(frames: LogFrames | undefined): Promise<void> {
    this.#answer?.(frames);
    await settled();
  }
  async fail(): Promise<void> {
    this.#fail?.(new Error("no disk"));
    await settled();
  }
}

/** All that follows from what is resolved by now. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const short = { log: checkpointFrames, copied: checkpointFrames };
const long = { log: walFramesMax, copied: walFramesMax };

describe("copying the log", () => {
  test("one copy is under way, and one more when the log grew meanwhile", async () => {
    const hands = new Hands();
    for (let i = 0; i < 3; i++) hands.checkpoints.logGrew();
    expect(hands.asked).toEqual(["copy"]);
    await hands.answer(short);
    expect(hands.asked).toEqual(["copy", "copy"]);
    await hands.answer(short);
    expect(hands.asked).toEqual(["copy", "copy"]);
    hands.checkpoints.logGrew();
    expect(hands.asked).toEqual(["copy", "copy", "copy"]);
  });

  test("a log that is as long as it may be is begun afresh by the writer, behind the copy", async () => {
    const hands = new Hands();
    hands.checkpoints.logGrew();
    await hands.answer(long);
    expect(hands.asked).toEqual(["copy", "restart"]);
    hands.checkpoints.logGrew();
    expect(hands.asked).toEqual(["copy", "restart"]);
    await hands.answer(undefined);
    expect(hands.asked).toEqual(["copy", "restart", "copy"]);
  });

  test("a full disk is no reason to stop, nor to begin the log afresh", async () => {
    const hands = new Hands();
    hands.checkpoints.logGrew();
    await hands.answer(undefined);
    hands.checkpoints.logGrew();
    expect([hands.asked, hands.fatal]).toEqual([["copy", "copy"], []]);
  });

  test.each(["copy", "restart"])("a %s that fails is told as fatal", async (what) => {
    const hands = new Hands();
    hands.checkpoints.logGrew();
    if (what === "restart") await hands.answer(long);
    await hands.fail();
    expect(hands.fatal).toEqual(["checkpoint failed: Error: no disk"]);
  });

  test("stop waits for the copy that is under way and lets nothing begin", async () => {
    const hands = new Hands();
    hands.checkpoints.logGrew();
    let stopped = false;
    const stop = hands.checkpoints.stop().then(() => (stopped = true));
    hands.checkpoints.logGrew();
    await settled();
    expect(stopped).toBe(false);
    await hands.answer(long);
    await stop;
    hands.checkpoints.logGrew();
    expect(hands.asked).toEqual(["copy"]);
  });
});

describe("the growth of the log", () => {
  const file = useTemporaryFile();

  test("is told once in so many frames, again in a log begun afresh, and always when it is overgrown", () => {
    const writer = openConnection(file.path, "writer");
    const checkpointer = openConnection(file.path, "checkpointer");
    writer.exec("CREATE TABLE t (page BLOB)");
    const put = writer.prepare("INSERT INTO t VALUES (zeroblob(?))");
    /** About so many frames, and the index pages that they need. */
    const grow = (frames: number) => put.run(frames * 4_096);
    const growth = createGrowthCheck(writer);
    expect(growth()).toBe("little");
    grow(checkpointFrames);
    expect([growth(), growth()]).toEqual(["grown", "little"]);
    grow(checkpointFrames);
    expect([growth(), growth()]).toEqual(["grown", "little"]);
    const { log, copied } = copyLog(checkpointer, "PASSIVE") as LogFrames;
    expect([copied, log > 2 * checkpointFrames]).toEqual([log, true]);
    // With nothing left to copy the next commit begins it afresh.
    grow(checkpointFrames);
    expect([growth(), growth()]).toEqual(["grown", "little"]);
    for (let i = 0; i < 3; i++) grow(checkpointFrames);
    expect([growth(), growth()]).toEqual(["overgrown", "overgrown"]);
    checkpointer.close();
    writer.close();
  });
});

test("a commit beside which a copy fails is written and not acknowledged", () => {
  const database = new SqliteDatabase(":memory:");
  migrate(database);
  const answers = [false, true];
  const writer = createWriter(database, () => answers.shift() ?? true);
  const events = [{ runNo: 1, event: created() }];
  const outcome = writer.commit(encodeBatch({ commitNo: 1, newestAtMs: 1, events, runs: [], deadlines: [] }));
  expect(outcome).toEqual({ kind: "fatal", message: "the log could not be copied into the file" });
  expect(database.prepare("SELECT commit_no FROM meta").get()).toEqual({ commit_no: 1 });
  database.close();
});

describe("the writer's thread alone", () => {
  const file = useTemporaryFile();

  /** Its thread, and how to let it commit an event of so many bytes. */
  async function startWriter() {
    await (await file.open()).close();
    const copyWords = createCopyWords();
    const writer = startThread("writer-thread", {
      data: { path: file.path, durability: "full", copyWords },
      toError: ({ error }) => new Error(error),
      onDeath: () => {},
    });
    let commitNo = 0;
    function commit(bytes: number): Promise<unknown> {
      commitNo += 1;
      const payload = { data: new Uint8Array(bytes), encoding: "" };
      const events = [{ runNo: commitNo, event: { ...created(), payload } }];
      return writer.call("commit", [encodeBatch({ commitNo, newestAtMs: 1, events, runs: [], deadlines: [] })]);
    }
    return { commit, writer, copyWords };
  }

  test("acknowledges no commit behind a copy that failed", async () => {
    const { commit, writer, copyWords } = await startWriter();
    expect(await commit(1)).toEqual({ kind: "durable" });
    Atomics.store(copyWords, copyWord.failed, 1);
    const refused = { kind: "fatal", message: "the log could not be copied into the file" };
    expect(await commit(1)).toEqual(refused);
    expect(await writer.call("probe", [])).toEqual(refused);
    await writer.end();
    const store = await file.open();
    expect(store.readMeta().commitNo).toBe(1);
  });

  test("copies the log itself when nobody else does, before it is too long", async () => {
    const { commit, writer } = await startWriter();
    const mib = 1_024 * 1_024;
    for (let i = 0; i < 100; i++) expect(await commit(mib)).toEqual({ kind: "durable" });
    expect(statSync(`${file.path}-wal`).size).toBeLessThan(walFramesMax * 4_096 + 8 * mib);
    await writer.end();
  });

  test("waits for the copy that is under way when the log is overgrown", async () => {
    const { commit, writer, copyWords } = await startWriter();
    Atomics.store(copyWords, copyWord.underWay, 1);
    const commits = Array.from({ length: 80 }, () => commit(1_024 * 1_024));
    // Wakes it without an end of the copy, once it waits: it has to wait on.
    while (Atomics.notify(copyWords, copyWord.underWay) === 0) await settled();
    while (Atomics.notify(copyWords, copyWord.underWay) === 0) await settled();
    Atomics.store(copyWords, copyWord.underWay, 0);
    Atomics.notify(copyWords, copyWord.underWay);
    for (const outcome of await Promise.all(commits)) expect(outcome).toEqual({ kind: "durable" });
    await writer.end();
  });
});
