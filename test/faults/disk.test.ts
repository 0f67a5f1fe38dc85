import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect } from "vitest";
import { program } from "../../scripts/programs.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { faultIn, lateEnd, readTrace, syncedBeforeFault } from "../crash/disk-trace.ts";
import { DiskFaults } from "../support/disk-faults.ts";
import { ServerProcess } from "../support/server-process.ts";
import { testWith } from "../support/tools.ts";

// A real server on a real file, with a disk that fails as it is told to.

let folder: string;
let db: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "everstep-disk-"));
  db = join(folder, "everstep.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function clientOf(server: ServerProcess) {
  return createClient(RunService, createGrpcTransport({ baseUrl: server.url }));
}
/** Throws, with what it found, when the file is not whole. */
function verify(): void {
  execFileSync(process.execPath, [program("everstep"), "verify", "--db", db], { stdio: "pipe" });
}

/** The ids of the load, all of one length: none is the beginning of another. */
const runIdPattern = /run-\d{2}-\d{6}/g;

type Runs = ReturnType<typeof clientOf>;
/** Starts runs for as long as it is told to; remembers what was acknowledged and what was refused. */
class Load {
  readonly acknowledged: string[] = [];
  readonly refused: ConnectError[] = [];
  #running = true;
  readonly #done: Promise<unknown>;

  constructor(runs: Runs, abreast: number) {
    this.#done = Promise.all(Array.from({ length: abreast }, (_, lane) => this.#lane(runs, lane)));
  }
  async #lane(runs: Runs, lane: number): Promise<void> {
    for (let n = 0; this.#running; n++) {
      const runId = `run-${String(lane).padStart(2, "0")}-${String(n).padStart(6, "0")}`;
      const input = { data: { case: "json" as const, value: JSON.stringify("x".repeat(500)) } };
      try {
        await runs.startRun({ workflow: "w", runId, input });
        this.acknowledged.push(runId);
      } catch (error) {
        this.refused.push(ConnectError.from(error));
        if (this.refused.at(-1)?.code === Code.Unavailable) return;
        // Refused at once while the disk is full: give the others the processor.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }
  /** Of the refusals that are the word of the server, not of a connection that broke. */
  get reasons(): string[] {
    return this.refused.flatMap((error) => error.findDetails(ErrorInfoSchema).map(({ reason }) => reason));
  }
  async until(fact: () => boolean): Promise<void> {
    while (!fact()) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }
}

async function expectAllThere(runs: Runs, runIds: readonly string[]): Promise<void> {
  const lost: string[] = [];
  for (const runId of runIds) await runs.getRun({ runId }).catch(() => lost.push(runId));
  expect(lost).toEqual([]);
}

testWith("gcc")(
  "a full disk refuses writes, goes on reading, and opens again when there is room",
  async () => {
    const faults = new DiskFaults(folder);
    const server = await ServerProcess.start({ db, env: faults.env });
    const runs = clientOf(server);
    const load = new Load(runs, 16);
    await load.until(() => load.acknowledged.length > 200);
    faults.begin("full");
    await load.until(() => load.refused.length > 100);
    expect(faults.fired("full")).toBeGreaterThan(0);
    expect(new Set(load.refused.map((error) => error.code))).toEqual(new Set([Code.ResourceExhausted]));
    const known = load.acknowledged.length;
    expect((await runs.getRun({ runId: load.acknowledged[known - 1]! })).run?.workflow).toBe("w");
    expect((await runs.countRuns({})).total).toBe(BigInt(known));
    faults.end("full");
    await load.until(() => load.acknowledged.length > known + 200);
    await load.stop();
    await expectAllThere(runs, load.acknowledged);
    expect((await runs.countRuns({})).total).toBe(BigInt(load.acknowledged.length));
    await server.signal("SIGTERM");
    verify();
  },
  60_000,
);

for (const fault of ["sync", "write"] as const) {
  testWith("gcc")(
    `after a failed ${fault} nothing is acknowledged any more that no sync covers, and the process ends`,
    async () => {
      const faults = new DiskFaults(folder);
      const trace = join(folder, "trace");
      const server = await ServerProcess.start({ db, env: { ...faults.env, EVERSTEP_TRACE: trace } });
      const load = new Load(clientOf(server), 16);
      await load.until(() => load.acknowledged.length > 100);
      faults.begin(fault);
      const code = await server.ended();
      const endedNs = process.hrtime.bigint();
      expect(faults.fired(fault)).toBeGreaterThan(0);
      expect(code).not.toBe(0);
      expect(server.stderr.join("\n")).toMatch(/disk I\/O error|SQLITE_IOERR|sync/i);
      await load.stop();
      faults.end(fault);

      // What comes behind the failed call was synced before it. The file cannot tell: it has what the kernel remembers.
      const calls = readTrace(trace);
      const synced = syncedBeforeFault(calls, runIdPattern);
      expect(load.acknowledged.filter((runId) => !synced.has(runId))).toEqual([]);
      // Nor does it say that something is not: what it was asked for may be in the file.
      expect(load.reasons.filter((reason) => reason !== "SHUTTING_DOWN")).toEqual([]);
      expect(lateEnd(faultIn(calls)!.atNs, endedNs).violations).toEqual([]);

      const again = await ServerProcess.start({ db });
      await expectAllThere(clientOf(again), load.acknowledged);
      await again.signal("SIGTERM");
      verify();
    },
    60_000,
  );
}
