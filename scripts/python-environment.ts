// The virtual environment that holds the Python SDK and what its checks need. Made anew when their versions change.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

/** True where there is a Python that the SDK supports. */
export function hasPython(): boolean {
  const program = "import sys, venv; sys.exit(sys.version_info < (3, 11))";
  return spawnSync("python3", ["-c", program], { stdio: "ignore" }).status === 0;
}

/**
 * The interpreter inside the environment; makes the environment when it is not there or out of date. What is made lies
 * in a folder of its own, and `.cache/python` becomes a link to it when it is whole: so somebody who makes one at the
 * same time is not disturbed, and one that was not finished is not met by the next. It is not moved there, because a
 * virtual environment has its own path written into its programs.
 */
export function pythonEnvironment(root: string): string {
  const folder = join(root, "clients", "python");
  const environment = join(root, ".cache", "python");
  const files = ["pyproject.toml", "requirements-test.txt"].map((name) => readFileSync(join(folder, name)));
  const wanted = createHash("sha256").update(Buffer.concat(files)).digest("hex");
  const isReady = () => {
    const mark = join(environment, "ready");
    return existsSync(mark) && readFileSync(mark, "utf8") === wanted;
  };
  if (!isReady()) {
    mkdirSync(dirname(environment), { recursive: true });
    forgetUnfinished(environment);
    const made = mkdtempSync(`${environment}-${process.pid}-`);
    try {
      run(folder, "python3", ["-m", "venv", made]);
      const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
      run(folder, join(made, "bin", "python"), [...install, "-r", "requirements-test.txt", "-e", "."]);
      writeFileSync(join(made, "ready"), wanted);
    } catch (error) {
      remove(made);
      throw error;
    }
    const somebodyWasFaster = isReady();
    if (somebodyWasFaster) remove(made);
    else putInPlace(made, environment);
  }
  return join(environment, "bin", "python");
}

function run(folder: string, command: string, args: readonly string[]): void {
  const ended = spawnSync(command, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (ended.status === 0) return;
  const said = `${ended.stdout ?? ""}${ended.stderr ?? ""}`.trim();
  const end = ended.error?.message ?? `ended by ${ended.signal ?? `code ${ended.status}`}`;
  throw new Error(`${command} ${args.join(" ")}: ${end}${said === "" ? "" : `\n${said}`}`);
}

function putInPlace(made: string, environment: string): void {
  const link = `${made}.link`;
  symlinkSync(basename(made), link);
  const before = linkedTo(environment);
  // A folder is what earlier checkouts had there, and no rename replaces it.
  if (before === undefined && existsSync(environment)) {
    const aside = mkdtempSync(`${environment}-${process.pid}-`);
    renameSync(environment, aside);
    remove(aside);
  }
  renameSync(link, environment);
  if (before !== undefined) remove(join(dirname(environment), before));
}

/** Removes what a process has left behind that was killed in the middle. */
function forgetUnfinished(environment: string): void {
  for (const name of readdirSync(dirname(environment))) {
    const maker = /^python-(\d+)-/.exec(name)?.[1];
    // In this order: what was put in place before its maker ended is seen to be there.
    if (maker === undefined || isAlive(Number(maker)) || linkedTo(environment) === name) continue;
    remove(join(dirname(environment), name));
  }
}

function linkedTo(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A pip whose parent was killed may still write into it: then it is the next one's to remove. */
function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  } catch {}
}

// As a program: makes it and prints its interpreter; without a Python it fails and says nothing.
if (import.meta.main) {
  // A signal to the whole group ends what is run here, too, and its end is an error like others: the folder is removed.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  process.exitCode = 1;
  try {
    if (hasPython()) {
      console.log(pythonEnvironment(join(import.meta.dirname, "..")));
      process.exitCode = 0;
    }
  } catch (error) {
    console.error((error as Error).message);
  }
}
