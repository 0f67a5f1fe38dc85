// A mixed fleet under fire: two workers of each language work on five-step runs while random ones of them, and the
// server, are killed with SIGKILL. Then the file is read: every run is COMPLETED with the right output, each of its steps
// has one result, nothing is left behind, and `everstep verify` finds nothing.
// npm run fleet -- [--runs 5000] [--worker-kills 30] [--server-kills 10]
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { program } from "../../scripts/programs.ts";
import { CallRefusedError, Client } from "../../clients/typescript/src/index.ts";
import { EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import { steadyAddress } from "../support/steady-address.ts";
import { DriverProcess } from "../wire/driver-process.ts";
import type { Driver } from "../wire/languages.ts";
import { Transcript } from "../wire/transcript.ts";

export interface FleetOptions {
  readonly drivers: readonly Driver[];
  readonly runs: number;
  readonly workerKills: number;
  readonly serverKills: number;
}

export interface FleetReport {
  readonly languages: readonly string[];
  readonly workers: number;
  readonly runs: number;
  readonly workerKills: number;
  readonly serverKills: number;
  readonly completed: number;
  readonly stepResults: number;
  /** Grants beyond the first of each run: what the kills cost. */
  readonly grantedAgain: number;
  readonly problems: readonly string[];
  readonly verify: string;
  readonly seconds: number;
}

const workersPerLanguage = 2;
const leaseTtlMs = 5_000;
/** Runs that are open at the same time: enough that every kill hits work. */
const openMax = 200;
const capacity = 20;
const keys = ["s1", "s2", "s3", "s4", "s5"];
const input = { do: keys.map((key, at) => ({ op: "step", key, result: at })) };
const output = JSON.stringify(keys.map((_, at) => at));
/** What a call ends with whose server was killed. */
const serverGone: ReadonlySet<string> = new Set(["UNAVAILABLE", "CANCELED", "ABORTED"]);
const problemsMax = 20;

export async function runFleet(options: FleetOptions): Promise<FleetReport> {
  const fleet = new Fleet(options);
  try {
    return await fleet.work();
  } finally {
    await fleet.close();
  }
}

class Fleet {
  readonly #options: FleetOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "everstep-fleet-"));
  readonly #db = join(this.#folder, "everstep.db");
  readonly #workers: { driver: Driver; process: DriverProcess }[] = [];
  readonly #problems: string[] = [];
  #server!: ServerProcess;
  #url = "";
  #client!: Client;
  #completed = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  async work(): Promise<FleetReport> {
    const { runs, drivers, workerKills, serverKills } = this.#options;
    const startedAtMs = performance.now();
    await this.#startServer(await steadyAddress());
    this.#client = new Client({ address: this.#url });
    for (const driver of drivers) for (let n = 0; n < workersPerLanguage; n += 1) this.#startWorker(driver);
    const lanes = Array.from({ length: openMax }, (_, lane) => this.#lane(lane));
    await Promise.all([...lanes, this.#killAll()]);
    const found = await this.#check();
    const workers = this.#workers.length;
    await this.#stopWorkers();
    await this.#server.signal("SIGTERM");
    const verify = verifyFile(this.#db);
    const seconds = Math.round((performance.now() - startedAtMs) / 100) / 10;
    const languages = drivers.map(({ language }) => language);
    return { languages, workers, runs, workerKills, serverKills, ...found, problems: this.#problems, verify, seconds };
  }

  /** Starts every openMax-th run and waits for its end before the next one. */
  async #lane(lane: number): Promise<void> {
    for (let run = lane; run < this.#options.runs; run += openMax) {
      const runId = `fleet-${run}`;
      const result = JSON.stringify(await this.#carry(runId));
      if (result !== output) this.#problem(`${runId} gave ${result}`);
      this.#completed += 1;
    }
  }

  /** On a busy machine a server may take longer to come back than the client tries: every call may be made again. */
  async #carry(runId: string): Promise<unknown> {
    for (;;) {
      try {
        await this.#client.start("program", { input, runId, requestId: runId });
        return await this.#client.result(runId);
      } catch (error) {
        if (!(error instanceof CallRefusedError && serverGone.has(error.reason))) throw error;
      }
    }
  }

  /** The kills are spread over the work: each comes when its share of the runs is done. */
  async #killAll(): Promise<void> {
    const { runs, workerKills, serverKills } = this.#options;
    const kills = workerKills + serverKills;
    for (let kill = 0; kill < kills; kill += 1) {
      const due = (runs * (kill + 1)) / (kills + 1);
      while (this.#completed < due) await pause(10);
      const ofServer = Math.floor(((kill + 1) * serverKills) / kills) > Math.floor((kill * serverKills) / kills);
      if (ofServer) await this.#killServer();
      else await this.#killWorker();
    }
  }

  async #killServer(): Promise<void> {
    await this.#server.signal("SIGKILL");
    await this.#startServer(new URL(this.#url).host);
  }

  async #killWorker(): Promise<void> {
    const at = Math.floor(Math.random() * this.#workers.length);
    const [victim] = this.#workers.splice(at, 1);
    if (victim === undefined) return;
    await victim.process.end();
    this.#startWorker(victim.driver);
  }

  async #startServer(listen: string): Promise<void> {
    this.#server = await ServerProcess.start({ db: this.#db, listen, args: ["--lease-ttl", `${leaseTtlMs}ms`] });
    this.#url = this.#server.url;
  }

  #startWorker(driver: Driver): void {
    const options = { capacity, facts: "off" as const };
    const process = new DriverProcess(driver, driver.language, this.#url, options, new Transcript());
    this.#workers.push({ driver, process });
  }

  /** Reads every history through the API. */
  async #check(): Promise<{ completed: number; stepResults: number; grantedAgain: number }> {
    let completed = 0;
    let stepResults = 0;
    let grantedAgain = -this.#options.runs;
    for await (const { runId, status } of this.#client.list({ pageSize: 1_000 })) {
      if (status === "COMPLETED") completed += 1;
      else this.#problem(`${runId} is ${status}`);
      const results = new Map<string, number>();
      for await (const event of this.#client.watch(runId)) {
        if (event.type === EventType.LEASE_GRANTED) grantedAgain += 1;
        if (event.type !== EventType.STEP_COMPLETED) continue;
        stepResults += 1;
        results.set(event.stepKey, (results.get(event.stepKey) ?? 0) + 1);
      }
      for (const key of keys)
        if (results.get(key) !== 1) this.#problem(`${runId} has ${results.get(key)} results of ${key}`);
    }
    if (completed !== this.#options.runs) this.#problem(`${completed} of ${this.#options.runs} runs are COMPLETED`);
    return { completed, stepResults, grantedAgain };
  }

  #problem(text: string): void {
    if (this.#problems.length < problemsMax) this.#problems.push(text);
  }

  async #stopWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map(({ process }) => process.end()));
  }

  async close(): Promise<void> {
    this.#client?.close();
    await this.#stopWorkers();
    await this.#server?.signal("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What `everstep verify` says, its findings first. */
function verifyFile(db: string): string {
  const command = [program("everstep"), "verify", "--db", db];
  const { stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
  return `${stdout}${stderr}`.trim();
}
