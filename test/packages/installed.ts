import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { machineEnvironment } from "./machine.ts";

const root = join(import.meta.dirname, "..", "..");

export interface Finished {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** npm and npx say things about the machine's own settings, which are none of the command's. */
const npmNotes = /^npm (warn|notice).*\n/gm;

/** Runs a command to its end, whatever its exit code. A signal's name stands for the code when it was killed. */
export function run(
  command: string,
  args: string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { ...options, timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve({
        code: child.exitCode ?? child.signalCode ?? "not started",
        stdout,
        stderr: stderr.replace(npmNotes, ""),
      }),
    );
  });
}

/** Thrown when npm could not fetch the dependencies. */
export class NoRegistryError extends Error {}

async function npm(args: string[], cwd: string): Promise<void> {
  const { code, stdout, stderr } = await run("npm", args, { cwd, env: machineEnvironment });
  if (code === 0) return;
  const unreachable = /ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|ENOTCACHED/.test(stderr);
  const Failure = unreachable ? NoRegistryError : Error;
  throw new Failure(`npm ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
}

/** A folder of a user, which has our two packages from their tarballs and nothing else. */
export class Installed {
  readonly #scratch = mkdtempSync(join(tmpdir(), "everstep-packages-"));
  readonly folder = join(this.#scratch, "app");

  /** Install scripts are off: the packages must not need any. */
  async install(): Promise<void> {
    mkdirSync(this.folder);
    await npm(["pack", "--pack-destination", this.#scratch], root);
    await npm(["pack", "--pack-destination", this.#scratch], join(root, "clients", "typescript"));
    const tarballs = readdirSync(this.#scratch).filter((name) => name.endsWith(".tgz"));
    writeFileSync(join(this.folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
    await npm(
      [
        "install",
        "--ignore-scripts",
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=1",
        "--fetch-retry-maxtimeout=1000",
        "--fetch-retry-mintimeout=500",
        "--fetch-timeout=15000",
        ...tarballs.map((name) => join(this.#scratch, name)),
      ],
      this.folder,
    );
    for (const name of ["work.mjs", "embed.mjs"]) {
      cpSync(join(import.meta.dirname, "app", name), join(this.folder, name));
    }
  }

  packageFolder(name: string): string {
    return join(this.folder, "node_modules", name);
  }

  /** The files of an installed package of ours; none of them brings a node_modules of its own. */
  filesOf(name: string): string[] {
    const folder = this.packageFolder(name);
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
      .sort();
  }

  remove(): void {
    rmSync(this.#scratch, { recursive: true, force: true });
  }
}
