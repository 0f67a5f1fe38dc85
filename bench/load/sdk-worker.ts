import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buildGoProgram } from "./go-programs.ts";

const root = join(import.meta.dirname, "..", "..");

/**
 * Five-step workers of the SDKs, each started with the server's URL and its capacity. A worker serves workflow `bench`,
 * prints on stdout, some times a second, how many runs it has ended so far, and drains on SIGTERM.
 */
const commands: Record<string, () => string[]> = {
  typescript: () => [process.execPath, join(import.meta.dirname, "run5-worker.ts")],
  go: () => [buildGoProgram("run5")],
  python() {
    execFileSync(process.execPath, [join("scripts", "python-environment.ts")], { cwd: root, stdio: ["ignore", 2, 2] });
    return [join(root, ".cache", "python", "bin", "python"), join(import.meta.dirname, "run5_worker.py")];
  },
};

export const languages = Object.keys(commands);

export interface SdkWorker {
  readonly finished: number;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

export function startSdkWorker(language: string, url: string, capacity: number): SdkWorker {
  const found = commands[language];
  if (found === undefined) throw new Error(`no five-step worker in ${language}; there are ${languages.join(", ")}`);
  const [command = "", ...args] = found();
  const profiles = process.env.EVERSTEP_BENCH_WORKER_PROFILE;
  const child = spawn(command, [...args, url, String(capacity)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      ...(profiles === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` }),
    },
  });
  let finished = 0;
  createInterface({ input: child.stdout }).on("line", (line) => {
    finished = Number(line);
  });
  return {
    child,
    get finished() {
      return finished;
    },
    async stop() {
      child.kill("SIGTERM");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}
