// Our TypeScript programs as the tests start them, many hundred times: bundled from the sources, as the package has them.
// A bundle is made once for each state of the sources, and stays where it is while somebody may still run it.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const folder = join(root, ".cache", "programs");
/** Longer than the longest row runs on a bundle. */
const keptMs = 72 * 3_600_000;

/** The server's own files; the threads are started as neighbours of whoever starts them (src/store/sqlite/thread.ts). */
export const serverPrograms = {
  everstep: "src/main.ts",
  "writer-thread": "src/store/sqlite/writer-thread.ts",
  "reader-thread": "src/store/sqlite/reader-thread.ts",
  "checkpoint-thread": "src/store/sqlite/checkpoint-thread.ts",
} as const;

const programs = {
  ...serverPrograms,
  "wire-driver": "test/wire/drivers/typescript.ts",
  "sdk-worker": "test/crash/sdk-worker.ts",
  "stopped-worker": "test/faults/stopped-worker-process.ts",
} as const;

let made: string | undefined;

/** The file to give to Node. The first question of a process reads the sources, and makes the bundle if it is not there. */
export function program(name: keyof typeof programs): string {
  made ??= bundled();
  return join(made, `${name}.js`);
}

function bundled(): string {
  const sources = digest();
  const state = join(folder, sources);
  if (existsSync(state)) {
    utimesSync(state, new Date(), new Date());
    return state;
  }
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, "making-"));
  const input = Object.fromEntries(Object.entries(programs).map(([name, file]) => [name, join(root, file)]));
  const command = [join(import.meta.dirname, "bundle.ts"), JSON.stringify(input), scratch];
  execFileSync(process.execPath, command, { cwd: root, stdio: "inherit" });
  if (digest() !== sources) throw new Error("the sources were changed while they were bundled: start again");
  try {
    renameSync(scratch, state);
  } catch (error) {
    rmSync(scratch, { recursive: true });
    if (!existsSync(state)) throw error; // else somebody was faster
  }
  forgetOld();
  return state;
}

/** Of everything that goes into a bundle. */
function digest(): string {
  const files = globSync(["src/**/*.ts", "gen/ts/**/*.ts", "clients/typescript/src/**/*.ts", "test/**/*.ts"], {
    cwd: root,
  });
  const hash = createHash("sha256");
  for (const file of [...files.sort(), "package-lock.json", "scripts/bundle.ts", "scripts/programs.ts"]) {
    hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex").slice(0, 16);
}

function forgetOld(): void {
  for (const name of readdirSync(folder)) {
    const each = join(folder, name);
    if (Date.now() - statSync(each).mtimeMs > keptMs) rmSync(each, { recursive: true, force: true });
  }
}

// As a program: prints the file of the one that is named.
if (import.meta.main) console.log(program(process.argv[2] as keyof typeof programs));
