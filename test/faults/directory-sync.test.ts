import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect, vi } from "vitest";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { testWith } from "../support/tools.ts";

// A new file survives a power cut when its directory was synced too. SQLite does that with the first commit of a log and
// says nothing when it fails, so the server does it itself, in its main thread; SQLite writes in another one.

let folder: string;
let db: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "everstep-directory-"));
  db = join(folder, "everstep.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

testWith("strace")("the directory is synced behind the new log and before the first answer", async () => {
  const log = join(folder, "strace.log");
  const calls = "trace=openat,unlink,unlinkat,fsync,fdatasync,write,writev,sendto,sendmsg";
  const server = await ServerProcess.start({
    db,
    wrap: ["strace", "-D", "-f", "-y", "-s", "2000", "-e", calls, "-o", log],
  });
  const pid = server.child.pid as number;
  const transport = createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", useBinaryFormat: false });
  await createClient(RunService, transport).startRun({ workflow: "w", runId: "the-first" });
  await server.signal("SIGKILL");
  const trace = () => readFileSync(log, "utf8");
  await vi.waitFor(() => expect(trace()).toMatch(new RegExp(`^${pid} .*killed by SIGKILL`, "m")));

  const lines = trace().split("\n");
  // The log of the migration is deleted. The one that is served is made behind that.
  const gone = lines.findLastIndex((line) => line.includes("unlink") && line.includes(`${db}-wal`));
  const logMade = lines.findIndex((line, at) => at > gone && line.includes(`${db}-wal`) && line.includes("O_CREAT"));
  const ofMain = (line: string) => line.startsWith(`${pid} `);
  const synced = lines.findIndex(
    (line, at) => at > logMade && ofMain(line) && line.includes("fsync(") && line.includes(`<${folder}>`),
  );
  const answered = lines.findIndex((line) => ofMain(line) && line.includes('the-first\\",\\"workflow'));
  expect(gone).toBeGreaterThan(-1);
  expect(logMade).toBeGreaterThan(gone);
  expect(synced).toBeGreaterThan(logMade);
  expect(answered).toBeGreaterThan(synced);
});

testWith("strace")("nothing is served from a directory that cannot be synced", async () => {
  const first = await ServerProcess.start({ db });
  await first.signal("SIGTERM");
  // The file is there, its log is made anew. Only syncs of the directory fail.
  const wrap = ["strace", "-D", "-f", "-P", folder, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO"];
  const outcome = await ServerProcess.start({ db, wrap: [...wrap, "-o", join(folder, "strace.log")] }).catch(String);
  if (typeof outcome !== "string") await outcome.signal("SIGKILL");
  expect(String(outcome)).toMatch(/EIO/);
});
