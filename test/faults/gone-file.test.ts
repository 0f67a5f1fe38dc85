import { copyFileSync, linkSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";

// A server keeps its files open, and writes to them when their names are gone, too: with its end all of that would be.

let folder: string;
let db: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "everstep-gone-")), "data");
  mkdirSync(folder);
  db = join(folder, "everstep.db");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true, force: true }));

function runs(server: ServerProcess) {
  const transport = createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", useBinaryFormat: false });
  return createClient(RunService, transport);
}
const start = (server: ServerProcess, runId: string) => runs(server).startRun({ workflow: "w", runId });

test.each([
  ["removed with its folder", () => rmSync(folder, { recursive: true })],
  ["moved", () => renameSync(db, `${db}.moved`)],
  [
    "replaced by a copy",
    () => {
      copyFileSync(db, `${db}.copy`);
      renameSync(`${db}.copy`, db);
    },
  ],
])("a file that is %s under its server: nothing is acknowledged any more, and the server says why", async (_, go) => {
  const server = await ServerProcess.start({ db });
  await start(server, "before");
  go();
  await expect(start(server, "behind")).rejects.toThrow();
  expect(await server.ended()).toBe(1);
  expect(server.stderr.join("\n")).toContain(`${db} is gone, or another file has its name`);
});

test("a log that is removed under its server: what was acknowledged is in the file", async () => {
  const server = await ServerProcess.start({ db });
  await start(server, "before");
  rmSync(`${db}-wal`);
  await expect(start(server, "behind")).rejects.toThrow();
  expect(await server.ended()).toBe(1);
  expect(server.stderr.join("\n")).toContain(`${db}-wal is gone`);
  const again = await ServerProcess.start({ db });
  expect((await runs(again).getRun({ runId: "before" })).run?.runId).toBe("before");
  await again.signal("SIGTERM");
});

test("a file with a second name is not served: its lock and its log go by the name", async () => {
  const first = await ServerProcess.start({ db });
  await start(first, "before");
  linkSync(db, join(folder, "other.db"));
  await expect(ServerProcess.start({ db: join(folder, "other.db") })).rejects.toThrow(/has another name/);
  await first.signal("SIGTERM");
  await expect(ServerProcess.start({ db })).rejects.toThrow(/has another name/);
});
