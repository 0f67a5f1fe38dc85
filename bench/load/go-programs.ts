import { execFileSync } from "node:child_process";
import { join } from "node:path";

// The load programs written in Go, built when they are first asked for.

const root = join(import.meta.dirname, "..", "..");

/** Builds one of go-workers and returns its file; throws where Go is not installed. */
export function buildGoProgram(name: "run5" | "step"): string {
  const program = join(root, ".cache", "bench", `go-${name}`);
  execFileSync("go", ["build", "-o", program, `./${name}`], {
    cwd: join(import.meta.dirname, "go-workers"),
    stdio: ["ignore", 2, 2],
    env: { ...process.env, CGO_ENABLED: "0" },
  });
  return program;
}

export function hasGo(): boolean {
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
