import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { root, ServerProcess } from "../support/server-process.ts";

// Kills the server with SIGKILL under load, again and again on one file, then lets separate code read the file.
// node test/crash/kill-server.ts [kills]

export interface KillReport {
  readonly kills: number;
  readonly acknowledged: Record<string, number>;
  readonly runs: number;
  readonly problems: string[];
  readonly verify: string;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

export async function killServer(kills: number, concurrency = 32): Promise<KillReport> {
  const folder = mkdtempSync(join(process.env.EVERSTEP_CRASH_FOLDER ?? tmpdir(), "everstep-kill-"));
  const db = join(folder, "everstep.db");
  const ledger = join(folder, "ledger.jsonl");
  const listen = `127.0.0.1:${await freePort()}`;
  const args = ["--lease-ttl", "2s"];
  let server = await ServerProcess.start({ db, listen, args });
  const client = spawn(
    process.execPath,
    [join(root, "test/crash/ledger-client.ts"), server.url, ledger, String(concurrency)],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  try {
    for (let kill = 0; kill < kills; kill++) {
      const before = sizeOf(ledger);
      // The fault must hit work: wait until something was acknowledged since the last one, then a random moment more.
      while (sizeOf(ledger) <= before) await pause(5);
      await pause(Math.random() * 150);
      await server.signal("SIGKILL");
      server = await ServerProcess.start({ db, listen, args });
    }
    const before = sizeOf(ledger);
    while (sizeOf(ledger) <= before) await pause(5);
    client.kill("SIGTERM");
    await once(client, "exit");
    await server.signal("SIGKILL");
    const checked = spawnJson("python3", [join(root, "test/crash/check_ledger.py"), db, ledger]);
    const verify = execFileSync(process.execPath, [join(root, "src/main.ts"), "verify", "--db", db], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { kills, ...checked, verify: verify.trim() };
  } finally {
    client.kill("SIGKILL");
    await server.signal("SIGKILL");
    if (process.env.KEEP !== "1") rmSync(folder, { recursive: true, force: true });
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

function spawnJson(command: string, args: string[]): Pick<KillReport, "acknowledged" | "runs" | "problems"> {
  try {
    return JSON.parse(execFileSync(command, args, { encoding: "utf8" }));
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (stdout === undefined || stdout === "") throw error;
    return JSON.parse(stdout);
  }
}

if (process.argv[1] === import.meta.filename) {
  const report = await killServer(Number(process.argv[2] ?? 50));
  console.log(JSON.stringify(report));
  process.exitCode = report.problems.length === 0 ? 0 : 1;
}
