import { statSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { type CommitOutcome, CorruptRowError, type Store, UnreadableFileError } from "../store.ts";
import { encodeBatch } from "./batch-codec.ts";
import { createCheckpoints } from "./checkpoints.ts";
import { createCopyWords } from "./copy-state.ts";
import { putDamagedLogAside, refuseDamagedLog } from "./damaged-log.ts";
import { createPrivateFile, realPath, refuseOtherNames, syncDirectory } from "./files.ts";
import { lockFile } from "./lock.ts";
import { migrate } from "./migrate.ts";
import { type Durability, openConnection } from "./open.ts";
import { outcomeOf } from "./outcome.ts";
import { prepareDecisionReads } from "./statements.ts";
import { startThread, type Thread, type ThreadData, type ThreadError, type ThreadName } from "./thread.ts";
import { tellUnreadable } from "./unreadable-file.ts";

// Four connections to one file: the writer's in its thread, the queries' and the checkpointer's in theirs, and one here
// for the reads that decisions need at once.

export interface SqliteStoreOptions {
  path: string;
  /** Default "full": one sync before each acknowledgement. */
  durability?: Durability;
  /** Open a file although its log is damaged: what SQLite recovers is kept. File and log are copied aside first. */
  acceptDamagedLog?: boolean;
  /** Told what an operator should know. */
  warn?: (message: string) => void;
  /** The file can no longer be trusted: the process must stop. Once at most. */
  onFatal?: (message: string) => void;
}

export interface SqliteStore extends Store {
  /** PRAGMA synchronous of every connection, for the test that proves it: 2 is FULL. */
  synchronousModes(): Promise<number[]>;
}

export async function createSqliteStore({
  path,
  durability = "full",
  acceptDamagedLog = false,
  warn,
  onFatal,
}: SqliteStoreOptions): Promise<SqliteStore> {
  const file = realPath(path);
  const lock = lockFile(file);
  try {
    createPrivateFile(file);
    refuseOtherNames(file);
    // Without a sync for each commit a power cut leaves any part of the last ones.
    if (acceptDamagedLog) putDamagedLogAside(file, warn);
    else if (durability === "full") refuseDamagedLog(file);
    prepareFile(file);
    return await openStore({ path: file, durability, copyWords: createCopyWords() }, lock.release, onFatal);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function prepareFile(path: string): void {
  const database = openConnection(path, "writer");
  try {
    migrate(database);
    emptyLog(database);
  } finally {
    database.close();
  }
}

/** Closing would do the same, but swallows a failed sync. On a full disk the frames stay in the log. */
function emptyLog(database: Database): void {
  try {
    database.pragma("wal_checkpoint(TRUNCATE)");
  } catch (error) {
    if (outcomeOf(error).kind !== "full") throw error;
  }
}

async function openStore(
  data: ThreadData,
  release: () => void,
  onFatal: ((message: string) => void) | undefined,
): Promise<SqliteStore> {
  const { path } = data;
  let fatal: string | undefined;
  let closed = false;

  function die(message: string): CommitOutcome {
    if (fatal === undefined) {
      fatal = message;
      if (!closed) onFatal?.(message);
    }
    return { kind: "fatal", message: fatal };
  }
  function start(name: ThreadName): Thread {
    return startThread(name, { data, toError, onDeath: die, onLogGrew: () => checkpoints.logGrew() });
  }

  const writer = start("writer-thread");
  const reader = start("reader-thread");
  let checkpointer: Thread | undefined;
  /** Not before there is something to copy: a thread costs memory, and time when a file is opened. */
  const startedCheckpointer = () => (checkpointer ??= start("checkpoint-thread"));
  const checkpoints = createCheckpoints({
    copy: () => startedCheckpointer().call("copy", []),
    restart: () => writer.call("restart", []),
    onFatal: die,
  });
  async function open() {
    // Both answer once they have opened the file.
    await writer.call("synchronous", []);
    await reader.call("synchronous", []);
    // The log is there by now. SQLite syncs the folder with its first commit, and swallows it when that fails.
    syncDirectory(path);
    const opened = openConnection(path, "reader");
    try {
      return { database: opened, decisionReads: tellUnreadable(prepareDecisionReads(opened)) };
    } catch (error) {
      opened.close();
      throw error;
    }
  }
  const { database, decisionReads } = await open().catch(async (error: unknown) => {
    // A thread that is left would keep the process alive, with nobody served and nobody told.
    await Promise.all([writer.end(), reader.end()]);
    throw error;
  });

  async function write(method: "commit" | "probe", args: unknown[], transfer: ArrayBuffer[]): Promise<CommitOutcome> {
    if (fatal !== undefined) return { kind: "fatal", message: fatal };
    try {
      const outcome = await writer.call<CommitOutcome>(method, args, transfer);
      if (fatal !== undefined) return { kind: "fatal", message: fatal };
      return outcome.kind === "fatal" ? die(outcome.message) : outcome;
    } catch (error) {
      return die(error instanceof Error ? error.message : String(error));
    }
  }

  return {
    name: path,
    commit(batch) {
      const message = encodeBatch(batch);
      return write("commit", [message], [message.numbers.buffer, message.bytes.buffer]);
    },
    probe: () => write("probe", [], []),
    ...decisionReads,
    listRuns: (...args) => reader.call("listRuns", args),
    countRuns: (...args) => reader.call("countRuns", args),
    listChangedRuns: (...args) => reader.call("listChangedRuns", args),
    readHistory: (...args) => reader.call("readHistory", args),
    stepStats: (...args) => reader.call("stepStats", args),
    backup: (target) => writer.call("backup", [target]),
    fileBytes: () => ({ databaseBytes: sizeOf(path), walBytes: sizeOf(`${path}-wal`) }),
    async synchronousModes() {
      const here = database.pragma("synchronous", { simple: true }) as number;
      const threads = [writer, reader, startedCheckpointer()];
      return [here, ...(await Promise.all(threads.map((thread) => thread.call<number>("synchronous", []))))];
    },
    async close() {
      if (closed) return;
      closed = true;
      // The writer last: the last connection takes the WAL away, and a reader could not.
      database.close();
      const before = fatal;
      try {
        await checkpoints.stop();
        // Nobody else is told of a copy that fails now.
        if (fatal !== before) throw new Error(fatal);
        if (fatal === undefined) {
          await reader.call("close", []);
          await checkpointer?.call("close", []);
          await writer.call("close", []);
        }
      } finally {
        await Promise.all([writer.end(), reader.end(), checkpointer?.end()]);
        release();
      }
    },
  };
}

function toError({ error, corrupt, unreadable }: ThreadError): Error {
  if (corrupt !== undefined) return new CorruptRowError(corrupt.runNo, corrupt.seq, corrupt.detail);
  return unreadable === undefined ? new Error(error) : new UnreadableFileError(unreadable);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
