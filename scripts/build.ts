// Compiles what npm publishes: `dist/` of the server and `clients/typescript/dist/` of the SDK, each with the generated
// code that it reaches. Both repeat the paths of the repository (dist/src/index.js, dist/clients/typescript/src/index.js):
// sources import gen/ by relative paths, and so no specifier has to change but its extension. The command is bundled
// beside them (dist/everstep): it starts in half the time.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { bundle, licencesOf } from "./bundle.ts";
import { serverPrograms } from "./programs.ts";

const root = join(import.meta.dirname, "..");

interface Package {
  readonly name: string;
  readonly folder: string;
  readonly sources: string;
  /** Bundled; what only they need is not compiled beside them. */
  readonly programs?: { readonly bundled: Readonly<Record<string, string>>; readonly theirs: readonly string[] };
  /** npm takes a licence from the package's own folder only; the SDK's stands in the repository's root. */
  readonly bringsLicense: boolean;
}
const packages: readonly Package[] = [
  {
    name: "everstep",
    folder: root,
    sources: "src",
    programs: { bundled: serverPrograms, theirs: ["src/main.ts", "src/cli"] },
    bringsLicense: false,
  },
  {
    name: "@everstep/sdk",
    folder: join(root, "clients", "typescript"),
    sources: "clients/typescript/src",
    bringsLicense: true,
  },
];

/** tsc rewrites specifiers in code and leaves those in declarations, which some tools do not follow then. */
function pointDeclarationsAtJavaScript(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".d.ts")) continue;
    const file = join(entry.parentPath, entry.name);
    const text = readFileSync(file, "utf8");
    const pointed = text.replace(/((?:from|import\()\s*["']\.{1,2}\/[^"']+)(?<!\.d)\.ts(["'])/g, "$1.js$2");
    if (pointed !== text) writeFileSync(file, pointed);
  }
}

async function build({ name, folder, sources, programs, bringsLicense }: Package, scratch: string): Promise<void> {
  const startedAt = performance.now();
  const out = join(scratch, name.replace("/", "-"));
  const config = `${out}.json`;
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(root, "tsconfig.build.json"),
      compilerOptions: { outDir: out },
      include: [join(root, sources)],
      exclude: (programs?.theirs ?? []).map((path) => join(root, path)),
    }),
  );
  execFileSync(join(root, "node_modules", ".bin", "tsc"), ["-p", config], { cwd: root, stdio: "inherit" });
  pointDeclarationsAtJavaScript(out);
  if (programs !== undefined) {
    const input = Object.fromEntries(Object.entries(programs.bundled).map(([each, file]) => [each, join(root, file)]));
    const packages = await bundle(input, join(out, "everstep"));
    writeFileSync(join(out, "everstep", "THIRD-PARTY.txt"), licencesOf(packages));
  }
  if (bringsLicense) copyFileSync(join(root, "LICENSE"), join(out, "LICENSE"));
  // Made aside and put in place when it is whole, so that a failed build leaves the last good one.
  const dist = join(folder, "dist");
  rmSync(dist, { recursive: true, force: true });
  renameSync(out, dist);
  const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
  console.log(`${name}: ${files} files in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

const wanted = process.argv[2];
const chosen = packages.filter(({ name }) => wanted === undefined || name === wanted);
if (chosen.length === 0) throw new Error(`no package ${wanted}: ${packages.map(({ name }) => name).join(", ")}`);
mkdirSync(join(root, ".cache"), { recursive: true });
const scratch = mkdtempSync(join(root, ".cache", "build-"));
try {
  for (const each of chosen) await build(each, scratch);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
