// The virtual environment that holds the Python SDK and what its checks need. Made anew when their versions change.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** True where there is a Python that the SDK supports. */
export function hasPython(): boolean {
  const program = "import sys, venv; sys.exit(sys.version_info < (3, 11))";
  return spawnSync("python3", ["-c", program], { stdio: "ignore" }).status === 0;
}

/** The interpreter inside the environment; makes the environment when it is not there or out of date. */
export function pythonEnvironment(root: string): string {
  const folder = join(root, "clients", "python");
  const environment = join(root, ".cache", "python");
  const python = join(environment, "bin", "python");
  const files = ["pyproject.toml", "requirements-test.txt"].map((name) => readFileSync(join(folder, name)));
  const wanted = createHash("sha256").update(Buffer.concat(files)).digest("hex");
  const mark = join(environment, "ready");
  if (existsSync(mark) && readFileSync(mark, "utf8") === wanted) return python;
  const run = (command: string, args: string[]): void => {
    execFileSync(command, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  };
  run("python3", ["-m", "venv", "--clear", environment]);
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  run(python, [...install, "-r", "requirements-test.txt", "-e", "."]);
  writeFileSync(mark, wanted);
  return python;
}

// As a program: makes it and prints its interpreter; without a Python it fails and says nothing.
if (import.meta.main) {
  if (hasPython()) console.log(pythonEnvironment(join(import.meta.dirname, "..")));
  else process.exitCode = 1;
}
