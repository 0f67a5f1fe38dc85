// Makes one file, and some that it shares with others, of a program and all that it imports. Most of what a start costs is
// finding, reading and linking some 300 modules one by one: from a bundle a server listens in half the time.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { rolldown } from "rolldown";

/** Puts NAME.js into `folder` for each NAME: SOURCE; gives the folders of the packages that went into them. */
export async function bundle(sources: Readonly<Record<string, string>>, folder: string): Promise<string[]> {
  // What is compiled for the machine stays a package of its own.
  const made = await rolldown({ input: sources, external: ["better-sqlite3"], platform: "node", logLevel: "warn" });
  const { output } = await made.write({ dir: folder, format: "esm" });
  await made.close();
  const modules = output.flatMap((file) => (file.type === "chunk" ? file.moduleIds : []));
  const packages = modules.filter((module) => module.includes("/node_modules/")).map((module) => packageOf(module));
  return [...new Set(packages)].sort();
}

/** The nearest folder whose package.json has a name: some packages have others inside, for their kind of modules. */
function packageOf(module: string): string {
  let folder = dirname(module);
  while (!nameOf(folder)) folder = dirname(folder);
  return folder;
}

function nameOf(folder: string): string | undefined {
  const file = join(folder, "package.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).name : undefined;
}

/** What their licences want to be told: the text of each, and of each notice. */
export function licencesOf(packages: readonly string[]): string {
  const texts = packages.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    const text = files.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n");
    return `${name} ${version} (${license})\n\n${text}`.trim();
  });
  return `The programs beside this file contain code of these packages.\n\n${texts.join(`\n\n${"-".repeat(72)}\n\n`)}\n`;
}

// As a program, for those who cannot wait for a promise: the sources as JSON, and the folder.
if (import.meta.main) await bundle(JSON.parse(process.argv[2] ?? "{}"), process.argv[3] ?? "");
