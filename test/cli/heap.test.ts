import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

// V8 prints that it does not know a flag and goes on: a Node that has dropped one would run without it, unnoticed.
test("this Node's V8 knows the flags that the server sets for its heap", () => {
  const heap = join(import.meta.dirname, "..", "..", "src", "cli", "heap.ts");
  const script = `const { tuneHeap } = await import(${JSON.stringify(heap)}); tuneHeap();`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
