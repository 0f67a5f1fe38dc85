import { expect, test } from "vitest";
import { createState } from "../../src/core/new-state.ts";
import { copy, emptyMap, put, remove } from "../../src/core/sparse-map.ts";

test("an entry of one run is not seen in another, nor in a copy made before it", () => {
  const one = createState({ runNo: 1, namespace: "default", runId: "one" });
  const other = createState({ runNo: 2, namespace: "default", runId: "other" });
  expect(one.timers).toBe(other.timers);
  one.timers = put(one.timers, "sleep", { firesAtMs: 5, signalName: "" });
  expect(other.timers.size).toBe(0);
  const before = copy(one.timers);
  one.timers = put(one.timers, "wait", { firesAtMs: 6, signalName: "" });
  expect([...before.keys()]).toEqual(["sleep"]);
  expect([...one.timers.keys()]).toEqual(["sleep", "wait"]);
});

test("removing leaves what is empty alone and takes the entry from a map that has it", () => {
  const map = put(put(emptyMap<string, number>(), "a", 1), "b", 2);
  remove(map, "a");
  expect([...map]).toEqual([["b", 2]]);
  remove(emptyMap<string, number>(), "a");
  expect(emptyMap().size).toBe(0);
});
