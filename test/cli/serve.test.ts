import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import SqliteDatabase from "better-sqlite3";
import { afterAll, expect, test } from "vitest";
import { program } from "../../scripts/programs.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { everstep } from "./everstep.ts";

const folder = mkdtempSync(join(tmpdir(), "everstep-serve-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  { called: "by its name", env: {}, typed: ":   everstep run start" },
  {
    called: "by npm",
    env: { npm_lifecycle_event: "everstep" },
    typed: ":   npm run -s everstep -- run start",
  },
])("dev, $called, keeps its data here and says in eight lines or fewer where it is and what to type", async (as) => {
  const child = spawn(process.execPath, [program("everstep"), "dev", "--listen", "127.0.0.1:0"], {
    cwd: folder,
    // The tests themselves may run by npm or npx.
    env: { ...process.env, npm_command: undefined, npm_lifecycle_event: undefined, ...as.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  await new Promise<void>((resolve) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (!line.startsWith("{")) lines.push(line);
      if (line.includes("buf curl")) resolve();
    });
  });
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
  expect(lines.length).toBeLessThanOrEqual(8);
  expect(lines.join("\n")).toContain(".everstep/everstep.db");
  expect(lines.join("\n")).toContain(as.typed);
  expect(lines.some((line) => /^listening on http:\/\/127\.0\.0\.1:\d+$/.test(line))).toBe(true);
});

test.each(["runs_leased", "deadlines_due"])(
  "a file without a readable %s ends the process, with a reason",
  async (index) => {
    const db = join(folder, `${index}.db`);
    const server = await ServerProcess.start({ db });
    await server.signal("SIGTERM");
    const database = new SqliteDatabase(db);
    const pages = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").pluck();
    const page = pages.get(index) as number;
    database.close();
    const file = openSync(db, "r+");
    writeSync(file, Buffer.alloc(4_096, 0xff), 0, 4_096, (page - 1) * 4_096);
    closeSync(file);
    const said = await everstep(["serve", "--db", db, "--listen", "127.0.0.1:0"]);
    expect(said).toMatchObject({ code: 1, out: "" });
    expect(said.err).toContain(`${db} cannot be served: database disk image is malformed`);
  },
);

test("a path that cannot be a database is named", async () => {
  const text = join(folder, "text.txt");
  writeFileSync(text, "This is no database. ".repeat(100));
  for (const [db, reason] of [
    [join(folder, "nowhere", "x.db"), "ENOENT"],
    [folder, "unable to open database file"],
    [text, "file is not a database"],
  ] as const) {
    const said = await everstep(["serve", "--db", db, "--listen", "127.0.0.1:0"]);
    expect(said).toMatchObject({ code: 1, out: "", err: expect.stringContaining(`everstep: ${db}: ${reason}`) });
  }
});

test("settings that cannot be are usage errors, and no file is made", async () => {
  const db = join(folder, "none.db");
  for (const [args, told] of [
    [["--lease-ttl", "10ms"], "--lease-ttl"],
    [["--durability", "none"], "durability"],
    [["--tls-cert", "x"], "--tls-key"],
    [["--listen", "nowhere"], "HOST:PORT"],
    [["--payload-max", "many"], "payload-max"],
    [["--payload-max", "-1"], "--payload-max"],
    [["--lease-ttl", "99999999999d"], "longer"],
  ] as const) {
    const said = await everstep(["serve", "--db", db, ...args]);
    expect(said).toMatchObject({ code: 2, out: "" });
    expect(said.err).toContain(told);
  }
  const open = await everstep(["serve", "--db", db, "--listen", "0.0.0.0:0"]);
  expect(open.code).not.toBe(0);
  expect(open.err).toContain("--insecure-listen");
});

test("a file that somebody serves is not served twice", async () => {
  const db = join(folder, "held.db");
  const server = await ServerProcess.start({ db });
  const second = await everstep(["serve", "--db", db, "--listen", "127.0.0.1:0"]);
  expect(second.code).not.toBe(0);
  expect(second.err).toContain("held.db");
  await server.signal("SIGTERM");
});

test("SIGTERM drains and ends with 0; a second one ends now", async () => {
  const gentle = await ServerProcess.start({ db: join(folder, "gentle.db") });
  await gentle.signal("SIGTERM");
  expect(gentle.child.exitCode).toBe(0);
  const server = await ServerProcess.start({ db: join(folder, "twice.db") });
  server.child.kill("SIGTERM");
  server.child.kill("SIGTERM");
  expect([0, 130]).toContain(await server.ended());
});

test("backup and verify: a copy of a file in use is whole; what was changed behind the server's back is named", async () => {
  const db = join(folder, "orders.db");
  const server = await ServerProcess.start({ db });
  const transport = createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" });
  const runs = createClient(RunService, transport);
  const leases = createClient(LeaseService, transport);
  for (const runId of ["status", "timer", "last", "byte"]) {
    await runs.startRun({ workflow: "w", runId, queue: runId });
    const { assignment } = await leases.acquireLease({ queues: [runId], workerId: "w" });
    const lease = assignment!.lease!;
    const output = { data: { case: "json" as const, value: '"the result"' } };
    await leases.completeStep({ lease, stepKey: "a", output });
    await leases.createTimer({ lease, stepKey: "nap", delayMs: 86_400_000n });
  }
  const copy = join(folder, "copy.db");
  expect(await everstep(["backup", copy, "--db", db])).toMatchObject({ code: 0 });
  expect(await everstep(["verify", "--db", copy])).toMatchObject({ code: 0, out: "" });
  expect(await everstep(["verify", "--db", db])).toMatchObject({ code: 0, out: "" });
  await server.signal("SIGTERM");

  const database = new SqliteDatabase(copy);
  const numberOf = (runId: string) =>
    (database.prepare("SELECT run_no FROM runs WHERE run_id = ?").get(runId) as { run_no: number }).run_no;
  database.prepare("UPDATE runs SET status = 5 WHERE run_id = 'status'").run();
  database.prepare("DELETE FROM deadlines WHERE run_no = ?").run(numberOf("timer"));
  database.prepare("DELETE FROM events WHERE run_no = ? AND seq = 4").run(numberOf("last"));
  const flipped = database
    .prepare("UPDATE events SET payload = replace(payload, 'result', 'resulT') WHERE run_no = ? AND seq = 3")
    .run(numberOf("byte"));
  expect(flipped.changes).toBe(1);
  database.close();
  const { code, out } = await everstep(["verify", "--db", copy]);
  expect(code).toBe(1);
  for (const runId of ["status", "timer", "last", "byte"]) {
    expect(out).toMatch(new RegExp(`^run ${runId} seq [1-9]\\d*: `, "m"));
  }
});

test("backup and verify of a file that is not there: not found, and not that something differs", async () => {
  const absent = join(folder, "absent.db");
  for (const args of [["verify"], ["backup", join(folder, "nothing.db")]]) {
    const said = await everstep([...args, "--db", absent]);
    expect(said).toMatchObject({ code: 3, out: "" });
    expect(said.err).toContain("absent.db is not there");
  }
});
