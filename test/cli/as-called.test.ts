import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { commandsAsCalled } from "../../src/cli/as-called.ts";

test("what is proposed is typed as the command itself was", () => {
  expect(commandsAsCalled({}).everstep).toBe("everstep");
  expect(commandsAsCalled({ npm_command: "exec", npm_lifecycle_event: "npx" })).toEqual({
    everstep: "npx everstep",
    buf: "buf",
  });
  // Another script of a project, whose name says nothing.
  expect(commandsAsCalled({ npm_command: "run", npm_lifecycle_event: "serve" }).everstep).toBe("everstep");
});

test("npm, whichever is installed, says what it was called for", async () => {
  const folder = mkdtempSync(join(tmpdir(), "everstep-called-"));
  const args = ["run", "-s", "everstep", "--", "dev", "--listen", "127.0.0.1:0", "--db", join(folder, "e.db")];
  // In a group of its own: npm puts a shell between itself and the server.
  const npm = spawn("npm", args, { stdio: ["ignore", "ignore", "pipe"], detached: true });
  const lines: string[] = [];
  try {
    for await (const line of createInterface({ input: npm.stderr })) {
      lines.push(line);
      if (line.includes("start a run:")) break;
    }
  } finally {
    process.kill(-(npm.pid as number), "SIGTERM");
    await once(npm, "exit");
    rmSync(folder, { recursive: true });
  }
  expect(lines.at(-1)).toContain(":   npm run -s everstep -- run start");
});
