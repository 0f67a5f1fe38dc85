import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { importSeed } from "../store/import/import.ts";
import { openSeedFile, type SeedFile } from "../store/import/seed-file.ts";
import { type ImportTarget, openDryTarget, openTarget } from "../store/import/target.ts";
import { ExitError, exitCodes } from "./exit-codes.ts";
import { printLine, printNote } from "./output.ts";

export interface ImportCommandOptions {
  db: string;
  namespace: string;
  queue: string;
  dryRun?: boolean;
}

/** Brings in the workflows of a file of the predecessor, or only says what it would bring in. */
export async function importFile(from: string, options: ImportCommandOptions): Promise<void> {
  if (!existsSync(from)) throw new ExitError(exitCodes.notFound, `${from} is not there`);
  const { db, dryRun = false } = options;
  // Opened first: a file that cannot be brought in leaves no empty one of ours behind.
  const file = openSeedFile(from);
  try {
    const target = dryRun ? openDryTarget(db) : await openTarget(db);
    try {
      await bringIn(from, file, target, options);
    } finally {
      await target.close();
    }
  } finally {
    file.close();
  }
}

async function bringIn(
  from: string,
  file: SeedFile,
  target: ImportTarget,
  { namespace, queue, dryRun }: ImportCommandOptions,
): Promise<void> {
  const done = await importSeed({
    file,
    target,
    namespace,
    queue,
    nowMs: Date.now(),
    newLeaseId: () => randomBytes(16).toString("hex"),
    onLoss: ({ workflowId, message }) =>
      printLine(workflowId === "" ? `${from}: ${message}` : `workflow ${JSON.stringify(workflowId)}: ${message}`),
    onProgress: ({ workflows, imported, present, refused }) =>
      printNote(`${imported + present + refused} of ${workflows} workflows`),
  });
  const statuses = Object.entries(done.statuses).map(([status, count]) => `${count} ${status}`);
  printNote(
    `${done.imported} of ${done.workflows} workflows ${dryRun === true ? "would be brought" : "were brought"} in` +
      `${statuses.length === 0 ? "" : ` (${statuses.join(", ")})`}, ${done.present} were there already, ` +
      `${done.refused} cannot be carried`,
  );
  printNote(`with ${done.events} events, ${done.steps} steps, ${done.signals} signals and ${done.timers} timers`);
  if (done.losses > 0) printNote(`${done.losses} things are not carried as they were: see the lines on stdout`);
  if (done.refused > 0) throw new ExitError(exitCodes.runFailed);
}
