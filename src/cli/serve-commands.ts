import { type Command, Option } from "commander";
import { leaseTtlMsDefault, payloadBytesMax } from "../limits.ts";
import { parseDuration, parseInteger, parseListen } from "./duration.ts";
import { addSeedFlags, applySeedFlags } from "./seed-flags.ts";
import type { ServeOptions } from "./serve.ts";

export function addServeCommands(program: Command): void {
  addOptions(program.command("serve"), "everstep.db")
    .description("serve one SQLite file")
    .action((given: ServeOptions, command: Command) => start(given, command, false));
  addOptions(program.command("dev"), "./.everstep/everstep.db")
    .description("serve on loopback for development; data is kept in ./.everstep/")
    .action((given: ServeOptions, command: Command) => start(given, command, true));
}

/** The server is loaded only to serve: it is most of the code, and the other commands start in half the time. */
async function start(given: ServeOptions, command: Command, dev: boolean): Promise<void> {
  const options = applySeedFlags(given, command);
  const { serve } = await import("./serve.ts");
  await serve(options, dev);
}

function addOptions(command: Command, db: string): Command {
  return addSeedFlags(command)
    .option(
      "--listen <host:port>",
      "address to listen on; port 0 picks one",
      parseListen,
      parseListen("127.0.0.1:7420"),
    )
    .option("--db <file>", "the SQLite file, or :memory:", db)
    .option("--lease-ttl <duration>", "life of a lease without renewal", parseDuration, leaseTtlMsDefault)
    .option("--payload-max <bytes>", "largest payload", parseInteger, payloadBytesMax)
    .addOption(new Option("--api-key <key>", "key that every call must show").env("EVERSTEP_API_KEY"))
    .option("--tls-cert <file>", "certificate chain, PEM")
    .option("--tls-key <file>", "private key, PEM")
    .option("--insecure-listen", "listen beyond loopback without an API key")
    .option("--reset-clock", "take the wall clock although the file's newest instant is ahead of it")
    .option("--accept-damaged-log", "keep what SQLite recovers from a damaged log; the files are copied aside first")
    .addOption(
      new Option("--durability <mode>", "relaxed may lose the last second at a power cut")
        .choices(["full", "relaxed"])
        .default("full"),
    )
    .addOption(
      new Option("--log-level <level>", "least that is logged")
        .choices(["debug", "info", "warn", "error"])
        .default("info"),
    );
}
