import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { program } from "../../scripts/programs.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { parseDuration } from "../../src/cli/duration.ts";
import { everstep } from "./everstep.ts";

const folder = mkdtempSync(join(tmpdir(), "everstep-seed-flags-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let child: ChildProcess | undefined;
afterEach(async () => {
  if (child === undefined || child.exitCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
});

/** Starts a server with just these arguments; gives its address and what it said on stderr until then. */
async function serve(args: readonly string[]): Promise<{ url: string; notes: string[] }> {
  const started = spawn(process.execPath, [program("everstep"), "serve", ...args], { cwd: folder });
  child = started;
  const notes: string[] = [];
  createInterface({ input: started.stderr }).on("line", (line) => notes.push(line));
  const url = await new Promise<string>((resolve, reject) => {
    started.once("exit", () => reject(new Error(notes.join("\n"))));
    createInterface({ input: started.stdout }).on("line", (line) => {
      const found = /^listening on (\S+)$/.exec(line);
      if (found !== null) resolve(found[1] as string);
    });
  });
  return { url, notes };
}

describe("the seed's flags", () => {
  test("with one dash: the file, the lease TTL and the key are what they say; -tick is explained", async () => {
    const db = join(folder, "one.db");
    const args = ["-db", db, "-addr", "127.0.0.1:0", "-lease", "1m5s", "-tick", "200ms", "-api-key", "a-secret-key"];
    const { url, notes } = await serve(args);
    expect(existsSync(db)).toBe(true);
    expect(notes.join("\n")).toMatch(/--tick has no effect/);
    const transport = createConnectTransport({
      baseUrl: url,
      httpVersion: "1.1",
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", "Bearer a-secret-key");
          return next(request);
        },
      ],
    });
    const denied = createClient(RunService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
    await expect(denied.startRun({ workflow: "w" })).rejects.toThrow(/unauthenticated/);
    await createClient(RunService, transport).startRun({ workflow: "w", runId: "r" });
    const { assignment } = await createClient(LeaseService, transport).acquireLease({ workerId: "me" });
    expect(assignment?.leaseTtlMs).toBe(65_000n);
  });

  test("with two dashes and an equals sign", async () => {
    const db = join(folder, "two.db");
    const { url } = await serve([`--db=${db}`, "--addr=localhost:0", "--lease=5s", "-tick=1s"]);
    expect(existsSync(db)).toBe(true);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test("an address without a host is loopback, and says so; with a key it is every address", async () => {
    const closed = await serve(["-db", join(folder, "closed.db"), "-addr", ":0"]);
    expect(closed.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(closed.notes.join("\n")).toMatch(/loopback only.*--api-key or --insecure-listen/);
    child?.kill("SIGTERM");
    await once(child as ChildProcess, "exit");
    for (const [name, more] of [
      ["key", ["-api-key", "a-secret-key"]],
      ["open", ["--insecure-listen"]],
    ] as const) {
      const { url, notes } = await serve(["-db", join(folder, `${name}.db`), "-addr", ":0", ...more]);
      expect(url, name).toMatch(/^http:\/\/(\[::\]|0\.0\.0\.0):\d+$/);
      expect(notes.join("\n"), name).not.toMatch(/loopback/);
      child?.kill("SIGTERM");
      await once(child as ChildProcess, "exit");
    }
  });

  test("what cannot be is a usage error, and no file is made", async () => {
    const db = join(folder, "none.db");
    for (const [args, told] of [
      [["-lease", "200ms"], "between 1000 and"],
      [["-lease", "soon"], "no duration"],
      [["-tick", "often"], "no duration"],
      [["-addr", "8080"], "HOST:PORT"],
      [["-addr", ":1", "--listen", "127.0.0.1:0"], "two names of one setting"],
      [["-lease", "5s", "--lease-ttl", "5s"], "two names of one setting"],
    ] as const) {
      const said = await everstep(["serve", "-db", db, ...args]);
      expect(said, args.join(" ")).toMatchObject({ code: 2, out: "" });
      expect(said.err).toContain(told);
    }
    expect(existsSync(db)).toBe(false);
  });

  test("durations are read as Go writes them", () => {
    for (const [text, ms] of [
      ["200ms", 200],
      ["5s", 5_000],
      ["1h30m", 5_400_000],
      ["1.5h", 5_400_000],
      [".5s", 500],
      ["1.s", 1_000],
      ["1m0.5s", 60_500],
      ["1500us", 2],
      ["2000µs", 2],
      ["1000000ns", 1],
      ["0", 0],
      ["0s", 0],
      ["876000h", 3_153_600_000_000],
    ] as const) {
      expect(parseDuration(text), text).toBe(ms);
    }
    for (const text of ["", "5", "-5s", "5 s", "s", ".s", "5sec", "1h-5m"]) {
      expect(() => parseDuration(text), text).toThrow(/no duration/);
    }
  });
});
