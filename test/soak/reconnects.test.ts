import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { testWith } from "../support/tools.ts";

// The gate part of `npm run reconnects`: hundreds of cuts instead of thousands.

testWith("go")(
  "a Go worker that is cut off 200 times keeps its leases and ends its runs",
  async () => {
    const script = join(import.meta.dirname, "reconnects.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [
      script,
      "--cuts",
      "200",
      "--samples",
      "8",
      "--eager",
    ]);
    expect(stdout).toMatch(/^\d+ reconnects, \d+ short runs ended, 10 leases held throughout$/m);
  },
  240_000,
);
