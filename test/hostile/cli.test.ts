import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SqliteDatabase, { type Database } from "better-sqlite3";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { runCli } from "../../src/cli/cli.ts";
import { exitCodes } from "../../src/cli/exit-codes.ts";
import { createEngine, createServer } from "../../src/index.ts";
import { assertCases, times } from "./cases.ts";
import { anyLine, closedRun, linesOf, liveFile, openRun, verbs } from "./cli-lines.ts";

// Any command line comes to its end with an exit code that README names and says what was wrong in a few lines; one
// that was refused has changed nothing, neither for the server nor in the folder.

const folder = mkdtempSync(join(tmpdir(), "everstep-cli-fuzz-"));
const before = process.cwd();
let engine: Awaited<ReturnType<typeof createEngine>>;
let file: Database;
let url: string;
let stop: () => Promise<void>;
let said = { stdout: "", stderr: "" };

beforeAll(async () => {
  process.chdir(folder);
  engine = await createEngine({ path: liveFile });
  const server = createServer(engine, { port: 0 });
  ({ url } = await server.listen());
  file = new SqliteDatabase(liveFile, { readonly: true });
  stop = async () => {
    file.close();
    await server.close(100);
    await engine.stop();
  };
});
afterAll(async () => {
  await stop();
  process.chdir(before);
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  vi.stubEnv("EVERSTEP_ADDRESS", url);
  vi.stubEnv("XDG_CONFIG_HOME", folder);
  for (const name of ["stdout", "stderr"] as const) {
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      said[name] += String(text);
      return true;
    });
  }
  await runCli(["run", "start", "w", "--run-id", openRun]);
  await runCli(["run", "start", "w", "--run-id", closedRun]);
  await runCli(["run", "terminate", closedRun]);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** Ends what a line waits for when it takes long: `watch` and `result` of an open run wait for its end. */
async function endRuns(): Promise<unknown> {
  const open = "SELECT namespace, run_id AS runId FROM runs WHERE status < 5";
  const runs = file.prepare<[], { namespace: string; runId: string }>(open).all();
  return Promise.allSettled(runs.map((run) => engine.terminateRun(run, { reason: "the fuzz goes on" })));
}

function everything(): unknown {
  const counts = "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM runs) AS runs";
  const files = readdirSync(folder).filter((name) => !/-(wal|shm|lock)$/.test(name));
  return { counts: file.prepare(counts).get(), files };
}

async function expectGoodEnd(args: readonly string[]): Promise<void> {
  const was = everything();
  const ended: Promise<unknown>[] = [];
  said = { stdout: "", stderr: "" };
  const ends = setInterval(() => ended.push(endRuns()), 200);
  const code = await runCli(args).finally(() => clearInterval(ends));
  await Promise.all(ended);
  const line = JSON.stringify(args);
  expect(Object.values(exitCodes) as number[], line).toContain(code);
  const { stdout, stderr } = said;
  expect(stdout + stderr, line).not.toMatch(/undefined|is not a function|Cannot read|\n {4}at |internal|INTERNAL/);
  if (code === exitCodes.ok || stderr.includes("Usage:")) return;
  expect(stdout + stderr, line).not.toBe("");
  expect(stderr.split("\n").length, `${line} ${stderr}`).toBeLessThanOrEqual(5);
  // Behind a wait that is over, and a run or an import that failed, something has been done.
  if (code === exitCodes.timeout || !/^(error|everstep): /m.test(stderr)) {
    expect([exitCodes.runFailed, exitCodes.timeout] as number[], `${line} ${stderr}`).toContain(code);
  } else if (ended.length === 0) expect(everything(), `${line} ${stderr}`).toEqual(was);
}

async function expectGoodEnds(lines: fc.Arbitrary<string[]>, numRuns: number): Promise<void> {
  await assertCases(
    fc.asyncProperty(lines, (args) => expectGoodEnd(args)),
    { numRuns, limitMs: 5_000 },
  );
}

test("the verbs are those of the program", () => {
  expect(verbs.map((words) => words.join(" "))).toEqual(expect.arrayContaining(["serve", "import", "run show"]));
  expect(verbs.length).toBeGreaterThan(15);
});

// Found by these lines: each had an effect, asked somebody else, or answered another question.
test.each([
  [["run", "start", "w", "--wait", "2h"]],
  [["run", "result", openRun, "--timeout", "61m"]],
  [["run", "list", "--limit", "0"]],
  [["run", "list", "--address", ""]],
  [["run", "list", "--address", "ftp://127.0.0.1"]],
  [["run", "list", "--address", "http://127.0.0.1:99999"]],
  [["backup", "", "--db", liveFile]],
])("%j is a usage error", async (args) => {
  await expectGoodEnd(args);
  expect(await runCli(args)).toBe(exitCodes.usage);
});

test("an import or a start that is refused leaves no file behind", async () => {
  writeFileSync("no-seed", "");
  for (const args of [
    ["import", "no-seed"],
    ["dev", "--tls-cert", "none", "--tls-key", "none"],
    ["dev", "--lease-ttl", "0"],
  ]) {
    await expectGoodEnd(args);
  }
  expect(readdirSync(folder)).not.toEqual(expect.arrayContaining(["everstep.db"]));
  expect(readdirSync(folder)).not.toEqual(expect.arrayContaining([".everstep"]));
  rmSync("no-seed");
});

test("a wait of no time is over at once", async () => {
  const begunAtMs = performance.now();
  expect(await runCli(["run", "result", openRun, "--timeout", "0"])).toBe(exitCodes.timeout);
  // The server's own choice would be a minute.
  expect(performance.now() - begunAtMs).toBeLessThan(30_000);
});

test.each(verbs.map((words) => [words.join(" "), words] as const))(
  "everstep %s with any arguments",
  { timeout: 60_000 * times },
  (_name, words) => expectGoodEnds(linesOf(words), 10),
);

test("everstep with any words", { timeout: 60_000 * times }, () => expectGoodEnds(anyLine, 40));
