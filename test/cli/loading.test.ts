import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { root } from "../support/server-process.ts";

// A command line starts quickly because it loads what it needs: each file that Node loads is told.

const tell =
  "data:text/javascript,import{registerHooks}from'node:module';registerHooks({load(u,c,n){process.stderr.write(u+'\\n');return n(u,c)}})";

async function loadedBy(...args: string[]): Promise<string[]> {
  const command = ["--import", tell, join(root, "src/main.ts"), ...args];
  const { stderr } = await promisify(execFile)(process.execPath, command, { maxBuffer: 1 << 26 }).catch(
    (error: { stderr: string }) => error,
  );
  return stderr.split("\n");
}

test("commands about runs load neither server nor engine nor SQLite", async () => {
  const loaded = await loadedBy("run", "list", "--address", "http://127.0.0.1:1");
  expect(loaded.filter((url) => url.includes("/src/cli/run-commands.ts"))).toHaveLength(1);
  expect(loaded.filter((url) => /\/src\/(engine|store|server)\/|better-sqlite3|\/pino\//.test(url))).toEqual([]);
});
