import { existsSync } from "node:fs";
import { checkVersion } from "../sqlite/migrate.ts";
import { openConnection } from "../sqlite/open.ts";
import { prepareDecisionReads } from "../sqlite/statements.ts";
import { createSqliteStore } from "../sqlite/store.ts";
import type { Batch, RunRow } from "../store.ts";

/** Where an import writes: a file of ours that no server holds, or nothing, to see what would come. */
export interface ImportTarget {
  readMeta(): { commitNo: number; newestAtMs: number; lastRunNo: number };
  findRun(namespace: string, runId: string): RunRow | undefined;
  /** Throws when it is not durable. */
  commit(batch: Batch): Promise<void>;
  close(): Promise<void>;
}

/** Makes the file when it is not there. Throws when a server holds it. */
export async function openTarget(path: string): Promise<ImportTarget> {
  const store = await createSqliteStore({ path });
  return {
    readMeta: store.readMeta,
    findRun: store.findRun,
    async commit(batch) {
      const outcome = await store.commit(batch);
      if (outcome.kind !== "durable") throw new Error(`${path} could not be written: ${outcome.message}`);
    },
    close: store.close,
  };
}

/** Reads the file, when there is one, and writes nothing. */
export function openDryTarget(path: string): ImportTarget {
  const nothing = { commitNo: 0, newestAtMs: 0, lastRunNo: 0 };
  if (!existsSync(path)) {
    return { readMeta: () => nothing, findRun: () => undefined, commit: async () => {}, close: async () => {} };
  }
  const database = openConnection(path, "reader");
  try {
    checkVersion(database);
    const { readMeta, findRun } = prepareDecisionReads(database);
    return { readMeta, findRun, commit: async () => {}, close: async () => void database.close() };
  } catch (error) {
    database.close();
    throw error;
  }
}
