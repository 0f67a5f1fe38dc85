import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/server-process.ts";

/**
 * The worker of a language. It finds the server at EVERSTEP_ADDRESS, holds capacity for 100 runs and serves two
 * workflows: `soak-hold`, one step that waits for its cancellation, and `soak-short`, two steps of one key. For each line
 * on stdin it writes a JSON line: `live` (goroutines, tasks, whatever must not grow), `heapMiB`, `held`. With
 * SOAK_EAGER=1 it reconnects without jitter.
 */
const workers: Record<string, () => string[]> = {
  go() {
    const program = join(root, ".cache", "soak-worker-go");
    mkdirSync(join(root, ".cache"), { recursive: true });
    execFileSync("go", ["build", "-o", program, "./internal/soakworker"], {
      cwd: join(root, "clients", "go"),
      env: { ...process.env, CGO_ENABLED: "0" },
      stdio: ["ignore", "inherit", "inherit"],
    });
    return [program];
  },
};

export const soakLanguages = Object.keys(workers);

export function soakWorker(language: string): string[] {
  const found = workers[language];
  if (found === undefined) throw new Error(`no soak worker in ${language}; there are ${soakLanguages.join(", ")}`);
  return found();
}
