// Makes gen/ from proto/ and third_party/: TypeScript by buf, Go by buf, Python by grpc_tools in a virtual environment
// of our own. `--check` makes everything in a scratch folder and fails when it differs from what is committed.
// A language whose toolchain is missing is skipped and said so; with CI=true that is a failure.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
const grpcioTools = "grpcio-tools==1.76.0";

function run(command: string, args: string[], cwd = root): void {
  // Go's generators, as all Go programs of the checkout that need no C, share what is compiled for them.
  const env = { ...process.env, CGO_ENABLED: "0" };
  execFileSync(command, args, { cwd, env, stdio: ["ignore", "ignore", "inherit"] });
}

function has(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function listFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.includes("__pycache__"))
    .sort();
}

function generateTypeScript(out: string): void {
  run("buf", ["generate", "--template", "buf.gen.yaml", "-o", out]);
}

function generateGo(out: string): void {
  run("buf", ["generate", "--template", "buf.gen.go.yaml", "--path", "proto/everstep", "-o", out]);
}

function generatePython(out: string): void {
  const environment = join(root, ".cache", "python-generate");
  const python = join(environment, "bin", "python");
  if (!existsSync(join(environment, "ready"))) {
    run("python3", ["-m", "venv", "--clear", environment]);
    run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", grpcioTools]);
    mkdirSync(join(environment, "ready"));
  }
  const target = join(out, "gen", "python");
  mkdirSync(target, { recursive: true });
  const files = listFiles(join(root, "proto")).map((file) => relative(join(root, "proto"), file));
  run(python, [
    "-m",
    "grpc_tools.protoc",
    "-I",
    join(root, "proto"),
    `--python_out=${target}`,
    `--pyi_out=${target}`,
    `--grpc_python_out=${target}`,
    ...files,
  ]);
}

interface Language {
  readonly name: string;
  readonly present: () => boolean;
  readonly generate: (out: string) => void;
  /** A part of gen/<name> that also stands inside an SDK, which is a package of its own and must be complete. */
  readonly copy?: { readonly from: string; readonly to: string; readonly adapt?: (folder: string) => void };
}

/** Makes the stubs a package inside the SDK: modules find each other there, and those without a service are left out. */
function adaptPython(folder: string): void {
  for (const file of listFiles(folder)) {
    const text = readFileSync(file, "utf8");
    if (file.endsWith("_grpc.py") && !text.includes("Stub(object)")) rmSync(file);
    else writeFileSync(file, text.replaceAll(/^from everstep\.v1 import /gm, "from everstep._gen import "));
  }
  writeFileSync(join(folder, "__init__.py"), '"""Generated from proto/ by `npm run generate`. Do not edit."""\n');
}

const languages: Language[] = [
  { name: "ts", present: () => true, generate: generateTypeScript },
  {
    name: "go",
    present: () => has("go", ["version"]),
    generate: generateGo,
    copy: { from: "everstep/v1", to: "clients/go/everstepv1" },
  },
  {
    name: "python",
    present: () => has("python3", ["--version"]),
    generate: generatePython,
    copy: { from: "everstep/v1", to: "clients/python/src/everstep/_gen", adapt: adaptPython },
  },
];

interface Place {
  readonly made: string;
  readonly kept: string;
}

function replace({ made, kept }: Place): boolean {
  rmSync(kept, { recursive: true, force: true });
  cpSync(made, kept, { recursive: true });
  return true;
}

function isCurrent({ made, kept }: Place): boolean {
  const names = new Set([
    ...listFiles(made).map((f) => relative(made, f)),
    ...listFiles(kept).map((f) => relative(kept, f)),
  ]);
  let current = true;
  for (const name of names) {
    const [a, b] = [join(made, name), join(kept, name)];
    if (existsSync(a) && existsSync(b) && readFileSync(a).equals(readFileSync(b))) continue;
    console.error(`${relative(root, b)} is not what proto/ gives: run npm run generate`);
    current = false;
  }
  return current;
}

const check = process.argv.includes("--check");
let failed = false;
for (const language of languages) {
  if (!language.present()) {
    console.error(`gen/${language.name}: skipped, its toolchain is not installed`);
    if (process.env.CI === "true") failed = true;
    continue;
  }
  const scratch = mkdtempSync(join(tmpdir(), "everstep-generate-"));
  try {
    language.generate(scratch);
    const made = join(scratch, "gen", language.name);
    const places = [{ made, kept: join(root, "gen", language.name) }];
    const { copy } = language;
    if (copy !== undefined) {
      const inside = join(scratch, "inside");
      cpSync(join(made, copy.from), inside, { recursive: true });
      copy.adapt?.(inside);
      places.push({ made: inside, kept: join(root, copy.to) });
    }
    for (const place of places) if (!(check ? isCurrent(place) : replace(place))) failed = true;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
if (failed) process.exitCode = 1;
