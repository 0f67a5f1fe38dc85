import { networkInterfaces } from "node:os";
import type { Command } from "commander";
import { parseDuration, parseListen } from "./duration.ts";
import { ExitError, exitCodes } from "./exit-codes.ts";
import { printNote } from "./output.ts";

// The command line of the seed's server: -db, -addr, -tick, -lease, -api-key, with one dash or two, as Go reads them.
// Each is another name of a flag of ours, so that a start script goes on working; -tick has nothing left to do.

const seedFlags = new Set(["db", "addr", "tick", "lease", "api-key"]);

/** Go takes one dash or two, the parser of this program two: `-db x` and `-db=x` become `--db x` and `--db=x`. */
export function withTwoDashes(args: readonly string[]): string[] {
  if (args[0] !== "serve" && args[0] !== "dev") return [...args];
  const end = args.indexOf("--");
  return args.map((arg, at) => {
    if (end >= 0 && at > end) return arg;
    const name = /^-([a-z][a-z-]+)(?:=|$)/.exec(arg)?.[1];
    return name !== undefined && seedFlags.has(name) ? `-${arg}` : arg;
  });
}

interface SeedOptions {
  listen: { host: string; port: number };
  leaseTtl: number;
  apiKey?: string;
  insecureListen?: boolean;
  addr?: string;
  lease?: number;
  tick?: number;
}

export function addSeedFlags(command: Command): Command {
  return command
    .option("--addr <host:port>", "the seed's --listen; without a host it is loopback unless a key is set", checkListen)
    .option("--lease <duration>", "the seed's --lease-ttl", parseDuration)
    .option("--tick <duration>", "accepted, without effect: timers need no polling here", parseDuration);
}

function checkListen(text: string): string {
  parseListen(text);
  return text;
}

/** Lays the seed's flags over ours. The same setting under both names is a mistake that is not guessed about. */
export function applySeedFlags<T extends SeedOptions>(options: T, command: Command): T {
  const given = (name: string): boolean => command.getOptionValueSource(name) === "cli";
  if (options.addr !== undefined && given("listen")) throw both("--addr", "--listen");
  if (options.lease !== undefined && given("leaseTtl")) throw both("--lease", "--lease-ttl");
  if (options.tick !== undefined) {
    printNote("everstep: --tick has no effect: nothing is polled for, timers fire and leases end when they are due");
  }
  return {
    ...options,
    ...(options.lease === undefined ? {} : { leaseTtl: options.lease }),
    ...(options.addr === undefined ? {} : { listen: listenOf(options.addr, options) }),
  };
}

function both(seed: string, ours: string): ExitError {
  return new ExitError(exitCodes.usage, `${seed} and ${ours} are two names of one setting: give one of them`);
}

/** The seed takes ":8080" for every address of the machine. Here that needs a key, or the word that it is meant. */
function listenOf(addr: string, options: SeedOptions): { host: string; port: number } {
  const { host, port } = parseListen(addr);
  if (!addr.startsWith(":")) return { host, port };
  if ((options.apiKey ?? "") !== "" || options.insecureListen === true) return { host: anyAddress(), port };
  printNote(
    `everstep: --addr ${addr} listens on loopback only (${host}): give --api-key or --insecure-listen to let others in`,
  );
  return { host, port };
}

/** The one that stands for IPv4 too, where the machine has IPv6. */
function anyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return addresses.some(({ family }) => family === "IPv6") ? "::" : "0.0.0.0";
}
