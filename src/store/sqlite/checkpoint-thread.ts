import { fsyncSync, openSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { besideWriter } from "./copy-state.ts";
import { copyLog, type LogFrames } from "./log-copy.ts";
import { openConnection } from "./open.ts";
import type { ThreadData, ThreadReply, ThreadRequest } from "./thread.ts";

// Copies the log into the file. A slow sync of the file holds up this thread and nobody else.

const { path, durability, copyWords } = workerData as ThreadData;
const port = parentPort as NonNullable<typeof parentPort>;
const database = openConnection(path, "checkpointer", durability);
/** Ends with the thread, when all connections are closed: the end of any descriptor of a file frees the process's locks on it. */
const file = openSync(path, "r+");

/**
 * SQLite syncs the file when it has the whole log, which beside a writer it never has; the commit that begins the log
 * afresh would then wait for the sync of all that was copied.
 */
function copy(): LogFrames | undefined {
  const frames = copyLog(database, "PASSIVE");
  if (frames !== undefined) fsyncSync(file);
  return frames;
}

function answer(method: string): unknown {
  switch (method) {
    case "copy":
      return besideWriter(copyWords, copy);
    case "synchronous":
      return database.pragma("synchronous", { simple: true });
    case "close":
      return void database.close();
    default:
      throw new Error(`unknown method ${method}`);
  }
}

port.on("message", ({ id, method }: ThreadRequest) => {
  try {
    port.postMessage({ id, value: answer(method) } satisfies ThreadReply);
  } catch (error) {
    port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies ThreadReply);
  }
});
