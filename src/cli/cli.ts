import { Command, CommanderError } from "commander";
import { ConnectError } from "@connectrpc/connect";
import { fillFromConfig } from "./config-file.ts";
import { ExitError, exitCodeOf, exitCodes } from "./exit-codes.ts";
import { addFileCommands } from "./file-commands.ts";
import { addImportCommand } from "./import-command.ts";
import { printNote } from "./output.ts";
import { addRunCommands } from "./run-commands.ts";
import { withTwoDashes } from "./seed-flags.ts";
import { addServeCommands } from "./serve-commands.ts";
import { version } from "../version.ts";

/** All commands with their arguments and options. */
export function createProgram(): Command {
  const program = new Command("everstep")
    .description("durable workflows from one process and one SQLite file")
    .version(version)
    .showHelpAfterError("(add --help for more)")
    .exitOverride()
    .hook("preAction", (_program, action) => fillFromConfig(action, process.env));
  addServeCommands(program);
  addRunCommands(program);
  addFileCommands(program);
  addImportCommand(program);
  return program;
}

/** Runs one command line; gives the exit code. A serving command gives undefined: its signals end the process. */
export async function runCli(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync(withTwoDashes(args), { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (error instanceof ExitError) {
      if (error.message !== "") printNote(`everstep: ${error.message}`);
      return error.code;
    }
    printNote(`everstep: ${error instanceof ConnectError ? describe(error) : (error as Error).message}`);
    return exitCodeOf(error);
  }
}

function describe(error: ConnectError): string {
  const message = error.rawMessage === "" ? error.message : error.rawMessage;
  if (!message.includes("ECONNREFUSED")) return message;
  return `${message}: no server is there; "everstep dev" starts one, --address names another`;
}
