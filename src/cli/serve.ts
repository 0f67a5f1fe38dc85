import { mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { pino } from "pino";
import { createEngine, createServer } from "../index.ts";
import { leaseTtlMsMax, leaseTtlMsMin, payloadBytesMax } from "../limits.ts";
import { commandsAsCalled } from "./as-called.ts";
import { ExitError, exitCodes } from "./exit-codes.ts";
import { tuneHeap } from "./heap.ts";
import { printLine, printNote } from "./output.ts";

export interface ServeOptions {
  listen: { host: string; port: number };
  db: string;
  leaseTtl: number;
  payloadMax: number;
  apiKey?: string;
  tlsCert?: string;
  tlsKey?: string;
  insecureListen?: boolean;
  resetClock?: boolean;
  acceptDamagedLog?: boolean;
  durability: "full" | "relaxed";
  logLevel: string;
}

/** Serves until a signal ends the process. */
export async function serve(options: ServeOptions, dev: boolean): Promise<void> {
  if (options.leaseTtl < leaseTtlMsMin || options.leaseTtl > leaseTtlMsMax) {
    throw new ExitError(exitCodes.usage, `--lease-ttl must lie between ${leaseTtlMsMin} and ${leaseTtlMsMax} ms`);
  }
  if (options.payloadMax < 1 || options.payloadMax > payloadBytesMax) {
    throw new ExitError(exitCodes.usage, `--payload-max must lie between 1 and ${payloadBytesMax} bytes`);
  }
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined)) {
    throw new ExitError(exitCodes.usage, "--tls-cert and --tls-key belong together");
  }
  const tls =
    options.tlsCert === undefined || options.tlsKey === undefined
      ? undefined
      : { cert: readFileSync(options.tlsCert, "utf8"), key: readFileSync(options.tlsKey, "utf8") };
  if (dev) mkdirSync(dirname(options.db), { recursive: true });
  tuneHeap();
  const log = pino({ level: options.logLevel }, pino.destination({ fd: 2, sync: true }));
  const engine = await createEngine({
    path: options.db,
    leaseTtlMs: options.leaseTtl,
    payloadBytesMax: options.payloadMax,
    durability: options.durability,
    resetClock: options.resetClock === true,
    acceptDamagedLog: options.acceptDamagedLog === true,
    log,
  }).catch((error: unknown) => {
    throw named(options.db, error);
  });
  let server: ReturnType<typeof createServer>;
  let url: string;
  try {
    server = createServer(engine, {
      host: options.listen.host,
      port: options.listen.port,
      apiKeys: options.apiKey === undefined || options.apiKey === "" ? [] : [options.apiKey],
      insecureListen: options.insecureListen === true,
      log,
      ...(tls === undefined ? {} : { tls }),
    });
    ({ url } = await server.listen());
  } catch (error) {
    await engine.stop();
    throw error;
  }
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
  // Only now: who reads that it listens may already want it to stop.
  printLine(`listening on ${url}`);
  if (dev) printBanner(url, options.db);
}

/** What SQLite and the file system say of a file does not always say which. */
function named(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error) || error.message.includes(path)) return error;
  error.message = `${path}: ${error.message}`;
  return error;
}

function printBanner(url: string, db: string): void {
  const { everstep, buf } = commandsAsCalled(process.env);
  printNote(`Everstep serves ${db} at ${url}`);
  printNote(`  start a run:   ${everstep} run start order --input '{"item":"book"}'`);
  printNote(`  list runs:     ${everstep} run list`);
  printNote(`  why it waits:  ${everstep} run explain RUN_ID`);
  printNote(`  with buf:      ${buf} curl ${url}/everstep.v1.RunService/ListRuns -d '{}'`);
}
