// Our TypeScript programs as the tests start them, many hundred times: bundled from the sources, with what they import.
// Half of what it costs to start one of them is finding and linking its 300 modules one by one. A bundle is made once
// for each state of the sources, and stays where it is while somebody may still run it.
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
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const folder = join(root, ".cache", "programs");
const keptMs = 24 * 3_600_000;

const sources = {
  everstep: "src/main.ts",
  // Started as neighbours of whoever starts them: src/store/sqlite/thread.ts.
  "writer-thread": "src/store/sqlite/writer-thread.ts",
  "reader-thread": "src/store/sqlite/reader-thread.ts",
  "wire-driver": "test/wire/drivers/typescript.ts",
  "sdk-worker": "test/crash/sdk-worker.ts",
  "stopped-worker": "test/faults/stopped-worker-process.ts",
} as const;

const made = new Map<string, string>();

/** The file to give to Node. The first question of a process reads the sources, and makes the bundle if it is not there. */
export function program(name: keyof typeof sources): string {
  const state = made.get(root) ?? bundle();
  made.set(root, state);
  return join(state, `${name}.js`);
}

function bundle(): string {
  const state = join(folder, digest());
  if (existsSync(state)) return state;
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, "making-"));
  const config = join(scratch, "rolldown.config.mjs");
  const input = Object.fromEntries(Object.entries(sources).map(([name, file]) => [name, join(root, file)]));
  const output = { dir: scratch, format: "esm", sourcemap: true };
  const options = { input, external: ["better-sqlite3"], platform: "node", output };
  writeFileSync(config, `export default ${JSON.stringify(options)};\n`);
  execFileSync(join(root, "node_modules", ".bin", "rolldown"), ["-c", config, "--log-level", "warn"], { cwd: root });
  try {
    renameSync(scratch, state);
  } catch {
    rmSync(scratch, { recursive: true }); // somebody else was faster
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
  for (const file of [...files.sort(), "package-lock.json", "scripts/programs.ts"]) {
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
if (import.meta.main) console.log(program(process.argv[2] as keyof typeof sources));
