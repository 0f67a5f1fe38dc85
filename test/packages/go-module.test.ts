import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { GoModule } from "../support/go-module.ts";
import { root, ServerProcess } from "../support/server-process.ts";
import { testWith } from "../support/tools.ts";

// The Go SDK as its users have it: a module of their own that requires it, built by go and nothing else.

testWith("go")(
  "a module outside the repository builds with go alone, and its program runs",
  async () => {
    const readme = readFileSync(join(root, "clients", "go", "README.md"), "utf8");
    const main = /```go\n([\s\S]*?)```/.exec(readme)?.[1] as string;
    const folder = mkdtempSync(join(tmpdir(), "everstep-go-user-"));
    const module = new GoModule({ main });
    const server = await ServerProcess.start({ db: join(folder, "everstep.db") });
    try {
      const program = await module.build();
      const env = { EVERSTEP_ADDRESS: server.url };
      const { stdout } = await promisify(execFile)(program, [], { env });
      expect(stdout).toBe("Hello Ada; fine, thanks <nil>\n");
    } finally {
      await server.signal("SIGTERM");
      module.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  },
  240_000,
);
