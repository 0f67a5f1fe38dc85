import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const children: ChildProcess[] = [];
let ending = false;

/** Ends every process that was started here and still lives, the last one first: workers before their server. */
export async function endAll(): Promise<void> {
  ending = true;
  for (const child of children.toReversed()) await end(child, "SIGTERM");
}

export interface ServerProcess {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the server as a process of its own; resolves when it says that it listens. */
export async function startServer(options: { db: string; listen: string; leaseTtl: string }): Promise<ServerProcess> {
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
  children.push(child);
  const url = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the server ended with code ${code} before it listened`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const match = /^listening on (\S+)$/.exec(line);
      if (match !== null) resolve(match[1] as string);
    });
  });
  return { url, stop: () => end(child, "SIGTERM") };
}

export function startWorker(url: string, ledger: string): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, "worker.ts"), url], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ORDER_LEDGER: ledger },
  });
  children.push(child);
  return child;
}

/** One that was started elsewhere, to be ended with the others. */
export function adopt(child: ChildProcess): void {
  children.push(child);
  if (ending) child.kill("SIGKILL");
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}
