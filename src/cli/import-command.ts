import type { Command } from "commander";
import type { ImportCommandOptions } from "./import-file.ts";

export function addImportCommand(program: Command): void {
  program
    .command("import <file>")
    .description("bring in the workflows of a file of the predecessor; safe to repeat")
    .option("--db <file>", "the SQLite file to bring them into; no server may hold it", "everstep.db")
    .option("--namespace <name>", "namespace that the runs get", "default")
    .option("--queue <name>", "queue that the runs get", "default")
    .option("--dry-run", "only say what would be brought in, and what would be left behind")
    .action(async (file: string, options: ImportCommandOptions) => {
      const { importFile } = await import("./import-file.ts");
      await importFile(file, options);
    });
}
