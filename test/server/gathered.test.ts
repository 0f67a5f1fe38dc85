import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Gathered } from "../../src/server/gathered.ts";

test("what was added and not dropped is there, in order", () => {
  const piece = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.nat(30))), (steps) => {
      const gathered = new Gathered();
      let model: number[] = [];
      for (const step of steps) {
        if (typeof step === "number") {
          gathered.drop(Math.min(step, model.length));
          model = model.slice(step);
        } else {
          gathered.add(step);
          model.push(...step);
          step.fill(255);
        }
        expect([gathered.length, ...gathered.bytes]).toEqual([model.length, ...model]);
      }
    }),
  );
});

test("a million pieces of one byte take a few bytes each", () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const usedBytes = () => {
    gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const gathered = new Gathered();
  const beforeBytes = usedBytes();
  const frame = new Uint8Array(1_000_000);
  for (let at = 0; at < frame.length; at++) gathered.add(frame.subarray(at, at + 1));
  expect(gathered.length).toBe(1_000_000);
  expect(usedBytes() - beforeBytes).toBeLessThan(4_000_000);
  gathered.drop(1_000_000);
  expect(usedBytes() - beforeBytes).toBeLessThan(2_000_000);
});
