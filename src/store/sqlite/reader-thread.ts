import { parentPort, workerData } from "node:worker_threads";
import { CorruptRowError, UnreadableFileError } from "../store.ts";
import { openConnection } from "./open.ts";
import { prepareQueries, type QueryName } from "./queries.ts";
import type { ThreadData, ThreadReply, ThreadRequest } from "./thread.ts";
import { toldUnreadable } from "./unreadable-file.ts";

// Answers queries, so that a long list never holds up a decision.

const { path } = workerData as ThreadData;
const port = parentPort as NonNullable<typeof parentPort>;
const database = openConnection(path, "reader");
const queries = prepareQueries(database);

function answer(method: string, args: unknown[]): unknown {
  if (method === "synchronous") return database.pragma("synchronous", { simple: true });
  if (method === "close") return void database.close();
  const query = queries[method as QueryName] as (...args: unknown[]) => unknown;
  return query(...args);
}

port.on("message", ({ id, method, args }: ThreadRequest) => {
  port.postMessage(reply(id, method, args));
});

function reply(id: number, method: string, args: unknown[]): ThreadReply {
  try {
    return { id, value: answer(method, args) };
  } catch (thrown) {
    const error = toldUnreadable(thrown);
    if (error instanceof UnreadableFileError) return { id, error: error.message, unreadable: error.detail };
    if (error instanceof CorruptRowError) {
      const { runNo, seq, message } = error;
      return { id, error: message, corrupt: { runNo, seq, detail: message.slice(message.indexOf(": ") + 2) } };
    }
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}
