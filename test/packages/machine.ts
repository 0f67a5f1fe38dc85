import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, dirname, join } from "node:path";

// What somebody has who does not have this repository: a Node and an npm from PATH, without our node_modules/.bin.

function isOurs(folder: string): boolean {
  return folder.includes("node_modules");
}

const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "" && !isOurs(folder));

function find(command: string): string | undefined {
  return path
    .map((folder) => join(folder, command))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The machine's own Node; this one when it has none. */
export const machineNode = find("node") ?? process.execPath;
export const machineNodeVersion = execFileSync(machineNode, ["-p", "process.versions.node"], {
  encoding: "utf8",
}).trim();
export const machineNodeIsOld = Number.parseInt(machineNodeVersion, 10) < 24;

/** A Node that the packages promise to run on: the machine's, or the one that runs this test. */
export const node = machineNodeIsOld ? process.execPath : machineNode;

/** Without what an `npm run` around us has set: it would send the inner npm to our own folder. */
function environment(first: string[]): NodeJS.ProcessEnv {
  const kept = /^npm_config_(registry|cache|userconfig)$/;
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("npm_") || kept.test(name));
  const { NODE_OPTIONS: _, ...rest } = Object.fromEntries(clean);
  return { ...rest, PATH: [...first, ...path].join(delimiter), NO_COLOR: "1" };
}

/** `node` is the machine's. */
export const machineEnvironment = environment([]);
/** `node` is one that the packages promise to run on. */
export const userEnvironment = environment([dirname(node)]);
