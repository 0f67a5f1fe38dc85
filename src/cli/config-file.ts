import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { ExitError, exitCodes } from "./exit-codes.ts";

// Settings come from flags, then the environment, then a file, then the default. The file is a JSON object whose names
// are those of the long flags in camelCase ({"address": "...", "leaseTtl": "30s"}); one file serves every command, and
// each takes from it what it knows. A name that no command knows is an error: a typo must not pass for a setting.

/** The file that was asked for, or the usual one if it is there. */
export function configPath(environment: NodeJS.ProcessEnv): string | undefined {
  if (environment.EVERSTEP_CONFIG !== undefined && environment.EVERSTEP_CONFIG !== "") {
    return environment.EVERSTEP_CONFIG;
  }
  const folder = environment.XDG_CONFIG_HOME || join(homedir(), ".config");
  const usual = join(folder, "everstep", "config.json");
  return existsSync(usual) ? usual : undefined;
}

function readConfig(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ExitError(exitCodes.usage, `the configuration ${path} cannot be read: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ExitError(exitCodes.usage, `the configuration ${path} must be one JSON object`);
  }
  return value as Record<string, unknown>;
}

/** What a file may set: flags that say where and how, never those of one run. */
const settable = new Set([
  "address",
  "apiKey",
  "namespace",
  "output",
  "listen",
  "db",
  "leaseTtl",
  "payloadMax",
  "tlsCert",
  "tlsKey",
  "durability",
  "logLevel",
]);

/** Gives every option that neither a flag nor the environment has set the value of the file. */
export function fillFromConfig(command: Command, environment: NodeJS.ProcessEnv): void {
  const path = configPath(environment);
  if (path === undefined) return;
  const config = readConfig(path);
  for (const [name, value] of Object.entries(config)) {
    if (!settable.has(name)) {
      throw new ExitError(exitCodes.usage, `${path}: there is no setting ${JSON.stringify(name)}`);
    }
    if (typeof value !== "string" && typeof value !== "number") {
      throw new ExitError(exitCodes.usage, `${path}: ${name} must be a text or a number`);
    }
    const option = command.options.find((candidate) => candidate.attributeName() === name);
    if (option === undefined) continue;
    const source = command.getOptionValueSource(name);
    if (source !== undefined && source !== "default") continue;
    try {
      const text = String(value);
      const parsed = option.parseArg === undefined ? text : option.parseArg(text, undefined as never);
      command.setOptionValueWithSource(name, parsed, "config");
    } catch (error) {
      throw new ExitError(exitCodes.usage, `${path}: ${name}: ${(error as Error).message}`);
    }
  }
}
