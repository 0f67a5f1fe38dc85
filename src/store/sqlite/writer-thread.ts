import { parentPort, workerData } from "node:worker_threads";
import type { CommitOutcome } from "../store.ts";
import type { BatchMessage } from "./batch-codec.ts";
import { copyDatabase } from "./backup.ts";
import { copyLog, createGrowthCheck } from "./log-copy.ts";
import { openConnection } from "./open.ts";
import { outcomeOf } from "./outcome.ts";
import { logGrewNotice, type ThreadData, type ThreadReply, type ThreadRequest } from "./thread.ts";
import { createWriter } from "./writer.ts";

// Owns the only connection that commits. A slow sync holds up this thread and nobody else.

const { path, durability, copyFailed } = workerData as ThreadData;
const port = parentPort as NonNullable<typeof parentPort>;
const database = openConnection(path, "writer", durability);
const writer = createWriter(database);
const growthOfLog = createGrowthCheck(database);

async function answer(method: string, args: unknown[]): Promise<unknown> {
  switch (method) {
    case "probe":
      return writer.probe();
    case "backup":
      // Over this connection, because SQLite starts a backup afresh when another connection writes.
      return copyDatabase(database, args[0] as string);
    case "restart":
      return copyLog(database, "RESTART");
    case "synchronous":
      return database.pragma("synchronous", { simple: true });
    case "close":
      try {
        database.pragma("wal_checkpoint(TRUNCATE)");
      } catch (error) {
        // The WAL stays and has it all: the next start goes on from it.
        if (outcomeOf(error).kind !== "full") throw error;
      } finally {
        database.close();
      }
      return undefined;
    default:
      throw new Error(`unknown method ${method}`);
  }
}

/** What a sync says behind one that failed is worth nothing: no commit is acknowledged behind a copy that failed. */
function durably(message: BatchMessage): CommitOutcome {
  const outcome = writer.commit(message);
  if (Atomics.load(copyFailed, 0) === 0) return outcome;
  return { kind: "fatal", message: "the log could not be copied into the file" };
}

function commit(id: number, message: BatchMessage): void {
  port.postMessage({ id, value: durably(message) } satisfies ThreadReply);
  // Behind the answer: nobody waits for it unless the next batch is there already.
  const growth = growthOfLog();
  if (growth === "grown") port.postMessage(logGrewNotice);
  // Nobody copies as fast as this thread writes: it waits for them and copies the rest.
  if (growth === "overgrown") copyLog(database, "RESTART");
}

port.on("message", ({ id, method, args }: ThreadRequest) => {
  if (method === "commit") return commit(id, args[0] as BatchMessage);
  answer(method, args).then(
    (value) => port.postMessage({ id, value } satisfies ThreadReply),
    (error: unknown) => port.postMessage({ id, error: messageOf(error) } satisfies ThreadReply),
  );
});

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
