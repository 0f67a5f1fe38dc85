import { execFileSync, spawn } from "node:child_process";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { DBOS } from "@dbos-inc/dbos-sdk";
import { result, runClosedLoop, steps } from "../closed-loop.mjs";

// PostgreSQL as installed, with its own defaults (fsync and synchronous_commit on), in a folder of its own. It does not
// run as root, so as root it runs as user postgres.

const inFlight = Number(process.argv[2]);
const port = 15_432;
const folder = mkdtempSync(join(process.env.EVERSTEP_BENCH_FOLDER ?? tmpdir(), "dbos-"));
const data = join(folder, "data");
const root = process.getuid() === 0;
const id = (flag) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
if (root) chownSync(folder, id("-u"), id("-g"));
const user = root ? { uid: id("-u"), gid: id("-g") } : {};
const bin = execFileSync("pg_config", ["--bindir"], { encoding: "utf8" }).trim();
execFileSync(join(bin, "initdb"), ["-D", data, "-U", "bench", "-A", "trust"], { stdio: "ignore", ...user });
const server = spawn(
  join(bin, "postgres"),
  ["-D", data, "-p", String(port), "-k", folder, "-c", "max_connections=200"],
  {
    stdio: "ignore",
    ...user,
  },
);
process.on("exit", () => {
  server.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
process.on("SIGTERM", () => process.exit(0));
while (!(await listens())) await pause(100);
await pause(500);

function listens() {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(() => resolve(true)));
    socket.on("error", () => resolve(false));
  });
}

const bench = DBOS.registerWorkflow(
  async () => {
    for (const name of steps) await DBOS.runStep(async () => result, { name });
    return "done";
  },
  { name: "bench" },
);
DBOS.setConfig({
  name: "bench",
  systemDatabaseUrl: `postgresql://bench@127.0.0.1:${port}/dbos`,
  systemDatabasePoolSize: Math.min(inFlight, 64),
  logLevel: "error",
});
await DBOS.launch();
runClosedLoop(inFlight, bench, server.pid);
