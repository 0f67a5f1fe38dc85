import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

// The repository's own rules.

const root = join(import.meta.dirname, "..");

function sources(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const found = [
    ...text.matchAll(/(?:^|\n)(?:import|export)[^;]*?from "([^"]+)"/g),
    ...text.matchAll(/\bimport\("([^"]+)"\)/g),
  ];
  return found.map((match) => match[1] as string);
}

/** Imports of a layer that are neither its own nor among what it may know. */
function strays(folder: string, allowed: RegExp[]): string[] {
  return sources(folder).flatMap((file) =>
    importsOf(file)
      .map((name) => (name.startsWith(".") ? relative(root, resolve(dirname(file), name)) : name))
      .filter((name) => !allowed.some((pattern) => pattern.test(name)))
      .map((name) => `${relative(root, file)} imports ${name}`),
  );
}

describe("imports go one way", () => {
  test("core knows itself only", () => {
    expect(strays("src/core", [/^src\/core\//])).toEqual([]);
  });
  test("store knows core and libraries", () => {
    expect(strays("src/store", [/^src\/(core|store)\//, /^src\/limits\.ts$/, /^(?!src\/|gen\/|clients\/)/])).toEqual(
      [],
    );
  });
  test("engine knows core, the store's port and limits, never an adapter or the wire", () => {
    const allowed = [/^src\/(core|engine)\//, /^src\/store\/store\.ts$/, /^src\/limits\.ts$/, /^node:/, /^uuidv7$/];
    expect(strays("src/engine", allowed)).toEqual([]);
  });
});

describe("core is pure", () => {
  for (const file of sources("src/core")) {
    test(relative(root, file), () => {
      const text = readFileSync(file, "utf8")
        .replace(/\/\/.*$/gm, "")
        .replace(/\/\*[\s\S]*?\*\//g, "");
      expect(text).not.toMatch(
        /Date\.now|new Date|Math\.random|performance\.|setTimeout|async |await |node:|process\./,
      );
    });
  }
});

test("nothing is left for later", () => {
  const marks = new RegExp(["TO", "DO|FIX", "ME|XX", "X|HA", "CK"].join(""));
  const left = ["src", "test", "scripts", "clients/typescript/src"]
    .flatMap((folder) => sources(folder))
    .filter((file) => !file.endsWith("tidy.test.ts") && marks.test(readFileSync(file, "utf8")))
    .map((file) => relative(root, file));
  expect(left).toEqual([]);
});

// npm 10 compiles a package with a binding.gyp unless the lock says otherwise, and forgets to write it there. Without
// this a machine with neither Python nor a compiler could not install the repository. `npm install` drops it.
test("the lock file says that better-sqlite3 is not compiled at installation", () => {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { gypfile?: boolean }>;
  };
  expect(lock.packages["node_modules/better-sqlite3"]?.gypfile).toBe(false);
});
