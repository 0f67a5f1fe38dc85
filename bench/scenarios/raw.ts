import { join } from "node:path";
import { createEngineOn } from "../../src/engine/engine.ts";
import { createSystemClock } from "../../src/engine/clock.ts";
import { createSystemRandom } from "../../src/engine/random.ts";
import { silentLog } from "../../src/engine/telemetry.ts";
import { type BatchMessage, encodeBatch } from "../../src/store/sqlite/batch-codec.ts";
import { createSqliteStore } from "../../src/store/sqlite/store.ts";
import { createBenchFolder } from "../load/folder.ts";
import { type RawBatch, rowsOf, writeRaw } from "../load/raw-writer.ts";
import { startBenchServer } from "../load/server.ts";
import { grantBatches, startBatches } from "../load/written-rows.ts";
import { type Parameters, type Result, resultOf, rssMiB } from "../result.ts";
import { loadGrants } from "./acquire.ts";
import { loadEngine } from "./core.ts";
import { loadStarts } from "./start.ts";

// SQLite alone, with what another scenario wrote: first that scenario runs, then the same rows go into a fresh file in
// the same batches. What the engine, the wire and the threads cost is the difference.

export const likes = ["core", "start", "acquire"] as const;

export async function raw(parameters: Parameters): Promise<Result[]> {
  const { before, batches } = await batchesOf(parameters);
  const folder = createBenchFolder();
  const warmUp = before.length + Math.floor(batches.length / 10);
  const written = writeRaw(join(folder.path, "raw.db"), [...before, ...batches], warmUp);
  folder.remove();
  return [
    resultOf(
      "raw",
      parameters,
      { ...written, rssMiB: rssMiB() },
      {
        like: parameters.like,
        operationsPerCommit: Math.round(written.operations / Math.max(1, written.batches)),
      },
    ),
  ];
}

async function batchesOf(parameters: Parameters): Promise<{ before: RawBatch[]; batches: RawBatch[] }> {
  switch (parameters.like) {
    case "core":
      return { before: [], batches: await recordCore(parameters) };
    case "start": {
      const server = await startBenchServer();
      await loadStarts(server, parameters);
      await server.end();
      const batches = startBatches(server.file);
      await server.stop();
      return { before: [], batches };
    }
    case "acquire": {
      const server = await startBenchServer();
      await loadGrants(server, parameters);
      await server.end();
      const { before, grants } = grantBatches(server.file);
      await server.stop();
      return { before, batches: grants };
    }
    default:
      throw new Error(`--like takes ${likes.join(", ")}`);
  }
}

/** Keeps every batch that goes to the store while the scenario runs. */
async function recordCore(parameters: Parameters): Promise<RawBatch[]> {
  const folder = createBenchFolder();
  const onFatal = (message: string) => {
    throw new Error(message);
  };
  const store = await createSqliteStore({ path: join(folder.path, "core.db"), onFatal });
  const messages: BatchMessage[] = [];
  const engine = createEngineOn({
    store: {
      ...store,
      commit(batch) {
        messages.push(encodeBatch(batch));
        return store.commit(batch);
      },
    },
    clock: createSystemClock(),
    random: createSystemRandom(),
    log: silentLog,
    onFatal,
  });
  await loadEngine(engine, parameters);
  await engine.stop();
  folder.remove();
  return messages.map(rowsOf);
}
