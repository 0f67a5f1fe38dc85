import { createSystemClock } from "./engine/clock.ts";
import type { Engine } from "./engine/api.ts";
import { createEngineOn } from "./engine/engine.ts";
import { createSystemRandom } from "./engine/random.ts";
import { type Log, silentLog } from "./engine/telemetry.ts";
import { nodeComplaint } from "./node-version.ts";
import { createMemoryStore } from "./store/memory/store.ts";
import { createSqliteStore } from "./store/sqlite/store.ts";
import { UnreadableFileError } from "./store/store.ts";

// Embedded use: the same engine and the same server inside a Node process.

export type { Engine } from "./engine/api.ts";
export { EngineError } from "./core/errors.ts";
export { createServer, type ServerOptions } from "./server/server.ts";

export interface CreateEngineOptions {
  /** The SQLite file; made when it is not there. ":memory:" keeps everything in memory and loses it at the end. */
  readonly path: string;
  /** Lifetime of a lease without renewal, in milliseconds. Default 30,000, at least 1,000. */
  readonly leaseTtlMs?: number;
  /** Largest payload in bytes. Default 4 MiB. */
  readonly payloadBytesMax?: number;
  /** "full" (default): every commit is synced before it is acknowledged. "relaxed": a power cut may lose the last second. */
  readonly durability?: "full" | "relaxed";
  /** Take the wall clock as it is, even when the file's newest instant is ahead of it. */
  readonly resetClock?: boolean;
  /** Open a file although its log is damaged: it is copied aside first, what SQLite recovers is kept. */
  readonly acceptDamagedLog?: boolean;
  readonly log?: Log;
  /** Told once when nothing can be acknowledged any more: an I/O error or a failed sync. Default: the process exits with code 1. */
  readonly onFatal?: (message: string) => void;
}

/**
 * Opens the file and starts the engine. Throws when another process holds the file, its log is damaged, its version is
 * newer, or this Node is too old.
 */
export async function createEngine(options: CreateEngineOptions): Promise<Engine> {
  const complaint = nodeComplaint(process.versions.node);
  if (complaint !== undefined) throw new Error(complaint);
  const log = options.log ?? silentLog;
  let told = false;
  const onFatal = (message: string) => {
    if (told) return;
    told = true;
    (options.onFatal ?? exitFatally)(message);
  };
  const store =
    options.path === ":memory:"
      ? createMemoryStore()
      : await createSqliteStore({
          path: options.path,
          durability: options.durability ?? "full",
          acceptDamagedLog: options.acceptDamagedLog === true,
          warn: (message) => log.warn({}, message),
          onFatal,
        });
  try {
    return createEngineOn({
      store,
      clock: createSystemClock(),
      random: createSystemRandom(),
      log,
      ...(options.leaseTtlMs === undefined ? {} : { leaseTtlMs: options.leaseTtlMs }),
      ...(options.payloadBytesMax === undefined ? {} : { payloadBytesMax: options.payloadBytesMax }),
      resetClock: options.resetClock === true,
      onFatal,
    });
  } catch (error) {
    // Recovery met what it cannot read. What closing says about the same file is no news.
    await store.close().catch(() => {});
    const said =
      error instanceof UnreadableFileError ? error.detail : error instanceof Error ? error.message : String(error);
    throw new Error(`${store.name} cannot be served: ${said} ("everstep verify" reads all of it)`, { cause: error });
  }
}

/** After a failed sync nobody may believe anything that this process says. */
function exitFatally(message: string): never {
  process.stderr.write(`everstep: ${message}\n`);
  process.exit(1);
}
