import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./scripts/longest-first.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Two cores carry the tests, the servers and the workers that they start.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // The scenarios of test/wire mostly wait: for a process, a timer, an answer.
    maxConcurrency: 12,
    // Tests start many hundred processes of the same few programs: each is compiled once.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, ".cache", "node-compile") },
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
