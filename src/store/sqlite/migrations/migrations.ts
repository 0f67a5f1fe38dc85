import { init } from "./0001-init.ts";

/** In order: the n-th leads to version n. Append only; a released one is never changed. */
export const migrations: readonly string[] = [init];

export const newestVersion = migrations.length;

/** Marks the file as ours ("Ever"), so that no other SQLite file is mistaken for one. */
export const applicationId = 0x45766572;
