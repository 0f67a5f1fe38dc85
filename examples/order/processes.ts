import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const children: ChildProcess[] = [];
const groups = new Set<ChildProcess>();
let ending = false;
/** All of them end within it, unless something is wrong with them. */
const endsWithinMs = 10_000;

/** Ends every process that was started here and still lives, the last one first: workers before their server. */
export async function endAll(): Promise<void> {
  ending = true;
  for (const child of children.toReversed()) await end(child, "SIGTERM");
}

export interface ServerProcess {
  readonly url: string;
}

/** Starts the server as a process of its own; undefined when it ends instead of listening: it has said why. */
export async function startServer(options: {
  db: string;
  listen: string;
  leaseTtl: string;
}): Promise<ServerProcess | undefined> {
  const args = [
    "serve",
    "--db",
    options.db,
    "--listen",
    options.listen,
    "--lease-ttl",
    options.leaseTtl,
    "--log-level",
    "warn",
  ];
  const child = spawn(process.execPath, [join(root, "src", "main.ts"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  adopt(child);
  const url = await new Promise<string | undefined>((resolve) => {
    child.once("exit", (_code, signal) => {
      if (signal !== null && !ending) console.error(`the server was ended by ${signal} before it listened`);
      resolve(undefined);
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      const match = /^listening on (\S+)$/.exec(line);
      if (match !== null) resolve(match[1] as string);
    });
  });
  return url === undefined ? undefined : { url };
}

export function startWorker(url: string, ledger: string): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, "worker.ts"), url], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ORDER_LEDGER: ledger },
  });
  adopt(child);
  return child;
}

export function isEnding(): boolean {
  return ending;
}

/** It will be ended with the others. */
export function adopt(child: ChildProcess): void {
  children.push(child);
  if (ending) kill(child, "SIGKILL");
}

/** A build: it is ended with all that it has started itself. */
export function adoptGroup(child: ChildProcess): void {
  groups.add(child);
  adopt(child);
}

function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  if (!groups.has(child) || child.pid === undefined) {
    child.kill(signal);
    return;
  }
  try {
    // Like Ctrl-C, on which go and pip wait for what they have started; on SIGTERM they do not.
    process.kill(-child.pid, signal === "SIGTERM" ? "SIGINT" : signal);
  } catch {} // it has just ended
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  kill(child, signal);
  const tooLong = setTimeout(() => kill(child, "SIGKILL"), endsWithinMs);
  await exited;
  clearTimeout(tooLong);
}
