import { Worker } from "node:worker_threads";
import { threadCallsMax } from "../../limits.ts";
import type { CopyWords } from "./copy-state.ts";
import type { Durability } from "./open.ts";

// Questions to a worker thread and their answers. Whatever ends the thread ends every open question with an error.

export interface ThreadRequest {
  id: number;
  method: string;
  args: unknown[];
}

export interface ThreadError {
  error: string;
  /** It was a CorruptRowError. */
  corrupt?: { runNo: number; seq: number; detail: string };
  /** It was an UnreadableFileError, with this detail. */
  unreadable?: string;
}

export type ThreadReply = { id: number; value: unknown } | ({ id: number } & ThreadError);

/** Not an answer: the writer's log should be copied into the file. */
export const logGrewNotice = "log grew";

/** What a thread is started with. */
export interface ThreadData {
  path: string;
  durability: Durability;
  copyWords: CopyWords;
}

interface Question {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

export interface Thread {
  call<T>(method: string, args: unknown[], transfer?: ArrayBuffer[]): Promise<T>;
  end(): Promise<void>;
}

/** What a thread holds dies with its message: a larger young generation would only be collected later. */
const youngGenerationMiB = 8;

export type ThreadName = "writer-thread" | "reader-thread" | "checkpoint-thread";

/** Sources run as they are and compiled alike: the neighbour has the same extension as this file. */
function urlOf(name: string): URL {
  const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
  return new URL(`./${name}${extension}`, import.meta.url);
}

export function startThread(
  name: ThreadName,
  options: {
    data: ThreadData;
    toError: (reply: ThreadError) => Error;
    /** The thread ended although nobody asked for it. */
    onDeath: (message: string) => void;
    onLogGrew?: () => void;
  },
): Thread {
  const open = new Map<number, Question>();
  const waiting: { request: ThreadRequest; transfer: ArrayBuffer[] }[] = [];
  let asked = 0;
  let scheduled = false;
  let lastId = 0;
  let ended = false;
  // Not the flags of the parent, which may belong to a test runner or a debugger.
  const worker = new Worker(urlOf(name), {
    workerData: options.data,
    execArgv: [],
    name,
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMiB },
  });

  worker.on("message", (reply: ThreadReply | typeof logGrewNotice) => {
    if (reply === logGrewNotice) return options.onLogGrew?.();
    const question = open.get(reply.id);
    open.delete(reply.id);
    asked -= 1;
    if (waiting.length > 0) askSoon();
    if ("error" in reply) question?.reject(options.toError(reply));
    else question?.resolve(reply.value as never);
  });
  worker.on("error", (error) => die(`${name} failed: ${String(error)}`));
  worker.on("exit", (code) => die(`${name} ended with code ${code}`));

  /** Not at once: a port hands over up to a thousand messages in one turn, and each answer would bring on the next. */
  function askSoon(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      ask();
    });
  }
  function ask(): void {
    while (asked < threadCallsMax) {
      const next = waiting.shift();
      if (next === undefined) return;
      asked += 1;
      worker.postMessage(next.request, next.transfer);
    }
  }

  function die(message: string): void {
    if (ended) return;
    ended = true;
    for (const question of open.values()) question.reject(new Error(message));
    open.clear();
    waiting.length = 0;
    options.onDeath(message);
  }

  return {
    call<T>(method: string, args: unknown[], transfer: ArrayBuffer[] = []): Promise<T> {
      if (ended) return Promise.reject(new Error(`${name} has ended`));
      return new Promise<T>((resolve, reject) => {
        const id = ++lastId;
        open.set(id, { resolve, reject });
        waiting.push({ request: { id, method, args }, transfer });
        ask();
      });
    },
    async end() {
      ended = true;
      await worker.terminate();
    },
  };
}
