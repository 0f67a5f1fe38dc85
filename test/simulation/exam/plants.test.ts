import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { plants } from "./plants.ts";
import { planted, root } from "./tree.ts";

// A refactoring must not disarm the exam without a word.

test("there are the twelve plants and seven more, with different names", () => {
  expect(new Set(plants.map(({ name }) => name)).size).toBe(19);
});

for (const plant of plants) {
  test(`"${plant.name}" still finds its line, and only in a copy`, () => {
    const source = readFileSync(join(root, plant.file), "utf8");
    expect(planted(source, plant)).not.toBe(source);
    expect(source).not.toContain(plant.to);
  });
}

test("a line that is not there, or there twice, is an error", () => {
  const plant = { name: "x", file: "f.ts", from: "line", to: "bug" };
  expect(() => planted("nothing", plant)).toThrow("0 times");
  expect(() => planted("line line", plant)).toThrow("2 times");
});
