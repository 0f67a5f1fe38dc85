import { existsSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { syncDirectory } from "./files.ts";
import { applicationId, migrations, newestVersion } from "./migrations/migrations.ts";

/** The version of the file; 0 for a new one. Throws when it is not ours or newer than this program. */
export function checkVersion(database: Database): number {
  const version = database.pragma("user_version", { simple: true }) as number;
  const id = database.pragma("application_id", { simple: true }) as number;
  const empty = version === 0 && database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;
  if (!empty && id !== applicationId)
    throw new Error(`${database.name} is not a file of Everstep${adviceOf(database)}`);
  if (version > newestVersion) {
    throw new Error(
      `${database.name} has version ${version} of the file format, this program knows up to version ${newestVersion}: ` +
        "use a newer program",
    );
  }
  return version;
}

/** A file of the engine that Everstep starts from looks like ours to whoever kept his flags. */
function adviceOf(database: Database): string {
  const tables = database.prepare("SELECT count(*) FROM sqlite_schema WHERE name IN ('workflows', 'steps')").pluck();
  return tables.get() === 2 ? ', but one of its predecessor: bring it in with "everstep import"' : "";
}

/** Brings the file to the newest version, each step in one transaction, a copy of an existing file kept beside it. */
export function migrate(database: Database): void {
  const before = checkVersion(database);
  if (before === newestVersion) return;
  if (before > 0) keepCopy(database, before);
  for (let version = before + 1; version <= newestVersion; version++) {
    database.transaction(() => {
      database.exec(migrations[version - 1] as string);
      database.pragma(`application_id = ${applicationId}`);
      database.pragma(`user_version = ${version}`);
    })();
  }
}

function keepCopy(database: Database, version: number): void {
  const copy = `${database.name}.before-v${version + 1}`;
  // One that is there stems from a migration that did not end: the file still is what it was then.
  if (existsSync(copy)) return;
  database.prepare("VACUUM INTO ?").run(copy);
  syncDirectory(copy);
}
