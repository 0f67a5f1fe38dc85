import { parentPort, workerData } from "node:worker_threads";
import type { BatchMessage } from "./batch-codec.ts";
import { copyDatabase } from "./backup.ts";
import { openConnection } from "./open.ts";
import type { ThreadData, ThreadReply, ThreadRequest } from "./thread.ts";
import { createWriter, outcomeOf } from "./writer.ts";

// Owns the only connection that writes. A slow sync holds up this thread and nobody else.

const { path, durability } = workerData as ThreadData;
const port = parentPort as NonNullable<typeof parentPort>;
const database = openConnection(path, "writer", durability);
const writer = createWriter(database);

async function answer(method: string, args: unknown[]): Promise<unknown> {
  switch (method) {
    case "probe":
      return writer.probe();
    case "backup":
      // Over this connection, because SQLite starts a backup afresh when another connection writes.
      return copyDatabase(database, args[0] as string);
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

function commit(id: number, message: BatchMessage): void {
  port.postMessage({ id, value: writer.commit(message) } satisfies ThreadReply);
  // Behind the answer: nobody waits for it unless the next batch is there already.
  try {
    writer.checkpoint();
  } catch (error) {
    port.postMessage({ fatal: `checkpoint failed: ${String(error)}` });
  }
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
