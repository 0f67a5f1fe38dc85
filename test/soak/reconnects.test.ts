import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { testWith } from "../support/tools.ts";

// The gate part of `npm run reconnects`: some dozens of cuts instead of thousands.

testWith("go")(
  "a Go worker that is cut off 40 times keeps its leases and ends its runs",
  async () => {
    const script = join(import.meta.dirname, "reconnects.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [script, "--cuts", "40", "--samples", "8"]);
    expect(stdout).toMatch(/^\d+ reconnects, \d+ short runs ended, 10 leases held throughout$/m);
  },
  240_000,
);
