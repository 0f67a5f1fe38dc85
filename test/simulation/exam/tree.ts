import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Plant } from "./plants.ts";

export const root = join(import.meta.dirname, "..", "..", "..");

/** What the simulator needs of the tree. */
const folders = ["src", "gen/ts", "clients/typescript/src", "test/simulation", "package.json"];

/** The source with the plant in it; throws when the line is not there exactly once. */
export function planted(source: string, { name, file, from, to }: Plant): string {
  const found = source.split(from).length - 1;
  if (found !== 1) throw new Error(`"${name}" finds its line ${found} times in ${file}`);
  return source.replace(from, () => to);
}

/** A copy of the tree in a temporary folder, with the plant in it if one is given. */
export function copyTree(plant: Plant | undefined): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "everstep-exam-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    for (const name of folders) cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    if (plant !== undefined) {
      const path = join(folder, plant.file);
      writeFileSync(path, planted(readFileSync(path, "utf8"), plant));
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { folder, remove };
}
