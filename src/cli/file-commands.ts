import { existsSync } from "node:fs";
import type { Command } from "commander";
import { ExitError, exitCodes } from "./exit-codes.ts";
import { printLine, printNote } from "./output.ts";

/** Commands that read the file itself, also while a server holds it. Only they load SQLite. */
export function addFileCommands(program: Command): void {
  program
    .command("backup <target>")
    .description("copy the file while it is in use")
    .option("--db <file>", "the SQLite file", "everstep.db")
    .action(async (target: string, { db }: { db: string }) => {
      mustExist(db);
      if (target === "") throw new ExitError(exitCodes.usage, "the target has no name");
      const { backupFile } = await import("../store/sqlite/backup.ts");
      await backupFile(db, target);
      printLine(`${db} was copied to ${target}`);
    });
  program
    .command("verify")
    .description("rebuild everything from the events and compare; exit code 1 when something differs")
    .option("--db <file>", "the SQLite file", "everstep.db")
    .action(async ({ db }: { db: string }) => {
      mustExist(db);
      const { verifyFile } = await import("../store/sqlite/verify.ts");
      const result = await verifyFile(db, {
        onProblem: ({ runNo, runId, seq, message }) => {
          const name = runId === "" ? `number ${runNo}` : runId;
          printLine(runNo === 0 ? `the file: ${message}` : `run ${name} seq ${seq}: ${message}`);
        },
      });
      printNote(`${result.runs} runs, ${result.events} events, ${result.problems} problems`);
      if (result.problems > 0) throw new ExitError(exitCodes.runFailed);
    });
}

/** A file that is not there has no problems either: scripts must be able to tell. */
function mustExist(path: string): void {
  if (!existsSync(path)) throw new ExitError(exitCodes.notFound, `${path} is not there`);
}
