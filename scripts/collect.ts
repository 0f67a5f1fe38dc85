import { spawn } from "node:child_process";

/** What a command came to: its whole output, told when it has ended. Status undefined: it could not be started. */
export interface Ended {
  readonly status: number | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** Runs a command beside others: what it prints is kept together. */
export function collect(cwd: string, command: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const startedAtMs = performance.now();
  const [program = "", ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const printed = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        printed[stream] += text;
      });
    }
    const end = (status: Ended["status"]) =>
      resolve({ ...printed, status, seconds: (performance.now() - startedAtMs) / 1_000 });
    child.on("error", () => end(undefined));
    child.on("close", end);
  });
}
