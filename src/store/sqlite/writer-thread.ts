import { parentPort, workerData } from "node:worker_threads";
import type { BatchMessage } from "./batch-codec.ts";
import { copyDatabase } from "./backup.ts";
import { hasCopyFailed, tellingFailure, waitForCopy } from "./copy-state.ts";
import { stillThere } from "./files.ts";
import { copyLog, createGrowthCheck } from "./log-copy.ts";
import { openConnection } from "./open.ts";
import { outcomeOf } from "./outcome.ts";
import { logGrewNotice, type ThreadData, type ThreadReply, type ThreadRequest } from "./thread.ts";
import { createWriter } from "./writer.ts";

// Owns the only connection that commits. A slow sync holds up this thread and nobody else.

const { path, durability, copyWords } = workerData as ThreadData;
const port = parentPort as NonNullable<typeof parentPort>;
const database = openConnection(path, "writer", durability);
const gone = stillThere([path, `${path}-wal`]);
const writer = createWriter(database, () => hasCopyFailed(copyWords), goneFile);
const growthOfLog = createGrowthCheck(database);

/** Of a log without a name the file still can have all: the end of this process takes the log away. */
function goneFile(): string | undefined {
  const name = gone();
  if (name === `${path}-wal`) {
    waitForCopy(copyWords);
    restartLog();
  }
  return name;
}

async function answer(method: string, args: unknown[]): Promise<unknown> {
  switch (method) {
    case "probe":
      return writer.probe();
    case "backup":
      // Over this connection, because SQLite starts a backup afresh when another connection writes.
      return copyDatabase(database, args[0] as string);
    case "restart":
      return restartLog();
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

/** Copies what is left of the log, which the next commit then begins afresh. */
function restartLog(): void {
  tellingFailure(copyWords, () => copyLog(database, "RESTART"));
}

function commit(id: number, message: BatchMessage): void {
  port.postMessage({ id, value: writer.commit(message) } satisfies ThreadReply);
  // Behind the answer: nobody waits for it unless the next batch is there already.
  const growth = growthOfLog();
  if (growth === "grown") port.postMessage(logGrewNotice);
  if (growth !== "overgrown") return;
  // Nobody copies as fast as this thread writes: it waits for them and copies the rest.
  waitForCopy(copyWords);
  restartLog();
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
