import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import type { CommitOutcome } from "../../src/store/store.ts";
import { committer, rowOf } from "./fixtures.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite("memory", async () => ({ store: createMemoryStore(), reopen: undefined, end: async () => {} }));

test("a decision read sees a commit before its promise resolves", async () => {
  const store = createMemoryStore();
  const commit = committer(store)({ runs: [rowOf(1)] });
  expect(store.getRun(1)?.runNo).toBe(1);
  expect(await commit).toEqual({ kind: "durable" });
});

test("a test can hold and fail commits", async () => {
  const outcomes: (CommitOutcome | undefined)[] = [{ kind: "full", message: "no room" }, undefined];
  const store = createMemoryStore({ beforeCommit: async () => outcomes.shift() });
  const commit = committer(store);
  expect(await commit({ runs: [rowOf(1)] })).toEqual({ kind: "full", message: "no room" });
  expect(store.getRun(1)).toBeUndefined();
  expect(await commit({ runs: [rowOf(1)] })).toEqual({ kind: "durable" });
  expect(store.getRun(1)?.commitNo).toBe(1);
});

test("there is nothing to back up", async () => {
  await expect(createMemoryStore().backup("x")).rejects.toThrow("not supported");
});
