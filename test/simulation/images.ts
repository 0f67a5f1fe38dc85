import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import { encodeBatch } from "../../src/store/sqlite/batch-codec.ts";
import { migrate } from "../../src/store/sqlite/migrate.ts";
import { openConnection } from "../../src/store/sqlite/open.ts";
import { prepareQueries } from "../../src/store/sqlite/queries.ts";
import { prepareDecisionReads } from "../../src/store/sqlite/statements.ts";
import { createWriter } from "../../src/store/sqlite/writer.ts";
import type { Batch, Store } from "../../src/store/store.ts";

// What a disk holds: the memory store, or a real file that the SQLite adapter's own statements write and read, without
// its threads. Both write a batch before the promise of its commit resolves.

export type ImageKind = "memory" | "sqlite";

export interface Image {
  /** A store on what was written so far, for the next life of the server; the last one's is not used any more. */
  open(): Store;
  /** Takes it away. */
  remove(): void;
}

export function createImage(kind: ImageKind, written: readonly Batch[]): Image {
  return kind === "memory" ? memoryImage(written) : sqliteImage();
}

function memoryImage(written: readonly Batch[]): Image {
  return {
    open() {
      const store = createMemoryStore();
      for (const batch of written) void store.commit(batch);
      return store;
    },
    remove() {},
  };
}

/** In memory where the system has a folder for that: these worlds say themselves when something is synced. */
const folder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

function sqliteImage(): Image {
  const home = mkdtempSync(join(folder, "everstep-simulation-"));
  let life = 0;
  let close = (): void => {};
  const pathOf = (number: number): string => join(home, `${number}.db`);
  return {
    open() {
      const path = pathOf(++life);
      // The file and its log as a crash leaves them: nobody has closed them.
      for (const part of ["", "-wal"]) {
        if (existsSync(pathOf(life - 1) + part)) copyFileSync(pathOf(life - 1) + part, path + part);
      }
      close();
      const connection = openConnection(path, "writer");
      migrate(connection);
      const reads = openConnection(path, "reader");
      close = () => {
        reads.close();
        connection.close();
        rmSync(pathOf(life - 1), { force: true });
      };
      const writer = createWriter(connection);
      const queries = prepareQueries(reads);
      return {
        name: path,
        commit: async (batch) => writer.commit(encodeBatch(batch)),
        probe: async () => ({ kind: "durable" }),
        ...prepareDecisionReads(reads),
        listRuns: async (...args) => queries.listRuns(...args),
        countRuns: async (...args) => queries.countRuns(...args),
        listChangedRuns: async (...args) => queries.listChangedRuns(...args),
        readHistory: async (...args) => queries.readHistory(...args),
        stepStats: async (...args) => queries.stepStats(...args),
        backup: async () => {},
        fileBytes: () => ({ databaseBytes: 0, walBytes: 0 }),
        close: async () => {},
      };
    },
    remove() {
      close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
