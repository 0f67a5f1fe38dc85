import { mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import { pino } from "pino";
import { createEngine, createServer } from "../index.ts";
import { leaseTtlMsDefault, leaseTtlMsMax, leaseTtlMsMin, payloadBytesMax } from "../limits.ts";
import { parseDuration, parseInteger, parseListen } from "./duration.ts";
import { ExitError, exitCodes } from "./exit-codes.ts";
import { keepHeapSmall } from "./heap.ts";
import { printLine, printNote } from "./output.ts";

interface ServeOptions {
  listen: { host: string; port: number };
  db: string;
  leaseTtl: number;
  payloadMax: number;
  apiKey?: string;
  tlsCert?: string;
  tlsKey?: string;
  insecureListen?: boolean;
  resetClock?: boolean;
  durability: string;
  logLevel: string;
}

export function addServeCommands(program: Command): void {
  addOptions(program.command("serve"), "everstep.db").description("serve one SQLite file").action(serve);
  addOptions(program.command("dev"), "./.everstep/everstep.db")
    .description("serve on loopback for development; data is kept in ./.everstep/")
    .action(async (options: ServeOptions) => {
      mkdirSync(dirname(options.db), { recursive: true });
      await serve(options, undefined, true);
    });
}

function addOptions(command: Command, db: string): Command {
  return command
    .option(
      "--listen <host:port>",
      "address to listen on; port 0 picks one",
      parseListen,
      parseListen("127.0.0.1:7420"),
    )
    .option("--db <file>", "the SQLite file, or :memory:", db)
    .option("--lease-ttl <duration>", "life of a lease without renewal", parseDuration, leaseTtlMsDefault)
    .option("--payload-max <bytes>", "largest payload", parseInteger, payloadBytesMax)
    .option(
      "--api-key <key>",
      "key that every call must show (environment: EVERSTEP_API_KEY)",
      process.env.EVERSTEP_API_KEY,
    )
    .option("--tls-cert <file>", "certificate chain, PEM")
    .option("--tls-key <file>", "private key, PEM")
    .option("--insecure-listen", "listen beyond loopback without an API key")
    .option("--reset-clock", "take the wall clock although the file's newest instant is ahead of it")
    .option("--durability <full|relaxed>", "relaxed may lose the last second at a power cut", "full")
    .option("--log-level <level>", "debug, info, warn, error", "info");
}

async function serve(options: ServeOptions, _command?: unknown, dev = false): Promise<void> {
  if (options.leaseTtl < leaseTtlMsMin || options.leaseTtl > leaseTtlMsMax) {
    throw new ExitError(exitCodes.usage, `--lease-ttl must lie between ${leaseTtlMsMin} and ${leaseTtlMsMax} ms`);
  }
  if (options.durability !== "full" && options.durability !== "relaxed") {
    throw new ExitError(exitCodes.usage, "--durability is full or relaxed");
  }
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined)) {
    throw new ExitError(exitCodes.usage, "--tls-cert and --tls-key belong together");
  }
  keepHeapSmall();
  const log = pino({ level: options.logLevel }, pino.destination({ fd: 2, sync: true }));
  const engine = await createEngine({
    path: options.db,
    leaseTtlMs: options.leaseTtl,
    payloadBytesMax: options.payloadMax,
    durability: options.durability,
    resetClock: options.resetClock === true,
    log,
  });
  const server = createServer(engine, {
    host: options.listen.host,
    port: options.listen.port,
    apiKeys: options.apiKey === undefined || options.apiKey === "" ? [] : [options.apiKey],
    insecureListen: options.insecureListen === true,
    log,
    ...(options.tlsCert === undefined || options.tlsKey === undefined
      ? {}
      : { tls: { cert: readFileSync(options.tlsCert, "utf8"), key: readFileSync(options.tlsKey, "utf8") } }),
  });
  let url: string;
  try {
    ({ url } = await server.listen());
  } catch (error) {
    await engine.stop();
    throw error;
  }
  printLine(`listening on ${url}`);
  if (dev) printBanner(url, options.db);
  let stops = 0;
  const stop = async (signal: string) => {
    stops += 1;
    if (stops > 1) process.exit(exitCodes.interrupted);
    log.info(`${signal}: draining`);
    engine.drain();
    await server.close();
    await engine.stop();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop(signal));
}

function printBanner(url: string, db: string): void {
  printNote(`Everstep serves ${db} at ${url}`);
  printNote('  start a run:   everstep run start order --input \'{"item":"book"}\'');
  printNote("  list runs:     everstep run list");
  printNote("  why it waits:  everstep run explain RUN_ID");
  printNote(`  with buf:      buf curl ${url}/everstep.v1.RunService/ListRuns -d '{}'`);
}
