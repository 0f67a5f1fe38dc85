import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { afterEach, beforeEach } from "vitest";
import { createSqliteStore, type SqliteStore } from "../../src/store/sqlite/store.ts";

/** A directory for each test, and stores in it that are closed behind it. */
export function useTemporaryFile() {
  let directory = "";
  let stores: SqliteStore[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "everstep-store-"));
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    stores = [];
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    get path(): string {
      return join(directory, "everstep.db");
    },
    in: (name: string) => join(directory, name),
    async open(onFatal?: (message: string) => void): Promise<SqliteStore> {
      const path = join(directory, "everstep.db");
      const store = await createSqliteStore({ path, ...(onFatal === undefined ? {} : { onFatal }) });
      stores.push(store);
      return store;
    },
    /** Behind the store's back. */
    tamper(change: (database: Database) => void): void {
      const database = new SqliteDatabase(join(directory, "everstep.db"));
      try {
        change(database);
      } finally {
        database.close();
      }
    },
  };
}
