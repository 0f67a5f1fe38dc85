import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import { createSqliteStore } from "../../src/store/sqlite/store.ts";
import { type Problem, verifyFile } from "../../src/store/sqlite/verify.ts";
import { type Turn, turn } from "./command.ts";
import { type Windows, windowsOfOne, World } from "./world.ts";

// Random histories, played by worlds that must not differ: an engine on the memory store, which is the model, one on a
// file, and both again with every window into the store as small as one. fast-check prints the seed of a failure and
// the shortest history that shows it; MODEL_SECONDS plays longer, MODEL_SEED plays one seed again.

const secondsOf = (share: number) => Number(process.env.MODEL_SECONDS ?? 12) * share;
const seed = process.env.MODEL_SEED === undefined ? Date.now() : Number(process.env.MODEL_SEED);
const histories = fc.array(turn, { minLength: 1, maxLength: 40, size: "max" });
const folder = mkdtempSync(join(tmpdir(), "everstep-model-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function inMemory(windows: Windows): Promise<World> {
  const store = createMemoryStore();
  return World.open({ open: async () => store, windows });
}
function inFile(name: string, windows: Windows): Promise<World> {
  return World.open({ open: () => createSqliteStore({ path: join(folder, name) }), windows });
}

/** Plays histories for the given time; all worlds must say what the first one says, and none may complain. */
async function compare(worlds: readonly World[], seconds: number): Promise<number> {
  let played = 0;
  let playing: Promise<unknown> = Promise.resolve();
  const sameInAll = fc.asyncProperty(histories, async (turns: Turn[]) => {
    const namespace = `n${++played}`;
    const answers = Promise.all(worlds.map((world) => world.play(namespace, turns)));
    playing = answers;
    const [model, ...others] = await answers;
    expect(model?.errors).toEqual([]);
    for (const other of others) expect(other).toEqual(model);
  });
  await fc.assert(sameInAll, {
    seed,
    numRuns: 1_000_000,
    interruptAfterTimeLimit: seconds * 1_000,
    markInterruptAsFailure: false,
  });
  // The history that the time limit cut short is still being played: it must not open files that are cleaned up.
  await playing;
  return played;
}

test("windows of one say what wide ones say", { timeout: 3_600_000 }, async () => {
  const worlds = await Promise.all([inMemory({}), inMemory(windowsOfOne)]);
  const played = await compare(worlds, secondsOf(0.4));
  expect(played).toBeGreaterThan(10);
  console.log(`seed ${seed}: ${played} histories with windows of one`);
  await Promise.all(worlds.map((world) => world.close()));
});

test("a file says what the model says, and verifies", { timeout: 3_600_000 }, async () => {
  const worlds = await Promise.all([inMemory({}), inFile("wide.db", {}), inFile("one.db", windowsOfOne)]);
  const played = await compare(worlds, secondsOf(0.6));
  expect(played).toBeGreaterThan(2);
  console.log(`seed ${seed}: ${played} histories on files`);
  await Promise.all(worlds.map((world) => world.close()));
  const problems: Problem[] = [];
  for (const name of ["wide.db", "one.db"]) {
    await verifyFile(join(folder, name), { onProblem: (problem) => problems.push(problem) });
  }
  expect(problems).toEqual([]);
});
