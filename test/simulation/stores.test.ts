import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { imagesOf, replayOf } from "./stores.ts";

const command = join(import.meta.dirname, "run.ts");

test("a campaign plays each twentieth of its seeds on the SQLite store", () => {
  const said = execFileSync(process.execPath, [command, "--seeds", "20", "--from", "1", "--json"], {
    encoding: "utf8",
  });
  expect(JSON.parse(said.trim().split("\n").at(-1)!)).toMatchObject({ seeds: 20, seedsOn: { memory: 19, sqlite: 1 } });
});

test("the command that plays a seed once more names the store on which it was played", () => {
  const again = (store: Parameters<typeof imagesOf>[0], seed: number) => replayOf(seed, imagesOf(store, seed));
  expect(again("mixed", 40)).toBe("npm run simulate -- --seed 40 --store sqlite");
  expect(again("mixed", 41)).toBe("npm run simulate -- --seed 41 --store memory");
  expect(again("both", 41)).toBe("npm run simulate -- --seed 41 --store both");
});
