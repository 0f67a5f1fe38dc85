import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { program } from "../../scripts/programs.ts";
import type { Client } from "../../clients/typescript/src/index.ts";
import { root, ServerProcess } from "../support/server-process.ts";
import { steadyAddress } from "../support/steady-address.ts";
import { has } from "../support/tools.ts";
import { Tally } from "./row.ts";
import { hasPython, pythonEnvironment } from "../../scripts/python-environment.ts";

// One file, the servers that serve it one after the other on one address, the clients that write down what was
// promised, and the separate code that reads the file in the end.

const run = promisify(execFile);
const verifyMsMax = 120_000;

export const killPoints = ["before", "after", "during", "acked"] as const;
/** Where a worker process kills itself, or stops, stays, or is slow: see sdk-worker.ts. */
export type KillPoint = (typeof killPoints)[number] | "stop" | "hold" | "slow" | "patient";
export type Sdk = "typescript" | "go" | "python";
/** The SDKs whose toolchain is here. */
export const sdks: readonly Sdk[] = [
  "typescript",
  ...(has("go") ? (["go"] as const) : []),
  ...(hasPython() ? (["python"] as const) : []),
];

const goPrograms = new Map<string, string>();
/** Builds a program of the Go SDK's proofs, once. */
export function goProgramPath(name: "tortureworker" | "tortureprogram"): string {
  let path = goPrograms.get(name);
  if (path === undefined) {
    path = join(root, ".cache", name);
    const env = { ...process.env, CGO_ENABLED: "0" }; // as the other programs of the tests: compiled once for all
    execFileSync("go", ["build", "-o", path, `./internal/${name}`], { cwd: join(root, "clients/go"), env });
    goPrograms.set(name, path);
  }
  return path;
}
function sdkCommand(sdk: Sdk): string[] {
  switch (sdk) {
    case "typescript":
      return [process.execPath, program("sdk-worker")];
    case "go":
      return [goProgramPath("tortureworker")];
    case "python":
      return [pythonEnvironment(root), join(import.meta.dirname, "sdk_worker.py")];
  }
}
/** Builds what the SDKs' processes need. This process stands still meanwhile: nothing may wait yet. */
function prepareSdks(): void {
  for (const sdk of sdks) sdkCommand(sdk);
  if (sdks.includes("go")) goProgramPath("tortureprogram");
}

export interface Checked {
  readonly operations: Record<string, number>;
  /** How many refusals have this cause in the file; one without any is a problem. Not of what was sent to be refused. */
  readonly refusals: Record<string, number>;
  readonly runs: number;
  /** When they were asked for. */
  readonly runIds?: string[];
  /** How many leases ended for each reason. */
  readonly leaseEnds: Record<string, number>;
  readonly sink?: { readonly calls: number; readonly results: number };
  readonly problems: string[];
}

export async function until(fact: () => boolean | Promise<boolean>, what: string, timeoutMs = 60_000): Promise<void> {
  const endsAtMs = performance.now() + timeoutMs;
  while (!(await fact())) {
    if (performance.now() > endsAtMs) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await pause(5);
  }
}

/** Whether the kernel holds this process stopped at this moment. */
export function isStopped(child: ChildProcess): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${child.pid}/status`, "utf8"));
}

/** Leases that nobody renewed, accepted or took with him: how many, for each reason, when there are any. */
export function lostLeases(leaseEnds: Readonly<Record<string, number>>, allowed: readonly string[] = []): string[] {
  const well = new Set(["DONE", "SUSPENDED", "RELEASED", ...allowed]);
  const lost = Object.entries(leaseEnds).filter(([reason]) => !well.has(reason));
  return lost.map(([reason, count]) => `${count} leases ended ${reason}`);
}

/** Waits until a worker has taken each of these runs. */
export async function allHeld(client: Client, runIds: readonly string[]): Promise<void> {
  const seen = () => Promise.all(runIds.map((runId) => client.get(runId)));
  await until(async () => (await seen()).every(({ lastSeq }) => lastSeq >= 2), "all runs are held");
}

export class Rig {
  readonly folder: string;
  readonly db: string;
  readonly sink: string;
  readonly ledgers: string[] = [];
  readonly listen: string;
  readonly url: string;
  readonly #args: string[];
  server!: ServerProcess;
  readonly #children: ChildProcess[] = [];
  readonly #seen = new Map<string, { bytes: number; count: number }>();

  private constructor(listen: string, args: string[]) {
    this.folder = mkdtempSync(join(process.env.EVERSTEP_CRASH_FOLDER ?? tmpdir(), "everstep-torture-"));
    this.db = join(this.folder, "everstep.db");
    this.sink = join(this.folder, "sink.jsonl");
    this.listen = listen;
    this.url = `http://${this.listen}`;
    this.#args = args;
  }
  static async create(args = ["--lease-ttl", "2s"]): Promise<Rig> {
    return new Rig(await steadyAddress(), args);
  }

  async serve(
    options: { env?: NodeJS.ProcessEnv; wrap?: string[]; db?: string; args?: string[] } = {},
  ): Promise<ServerProcess> {
    const { db = this.db, args = [], ...rest } = options;
    this.server = await ServerProcess.start({ db, listen: this.listen, args: [...this.#args, ...args], ...rest });
    return this.server;
  }
  /** Starts the ledger client; it repeats what was not answered until `stopClient`, or until it has done `--ops`. */
  client(name: string, ...args: string[]): ChildProcess {
    return this.clientAt(this.url, name, ...args);
  }
  clientAt(url: string, name: string, ...args: string[]): ChildProcess {
    const ledger = join(this.folder, `${name}.jsonl`);
    this.ledgers.push(ledger);
    const script = join(import.meta.dirname, "ledger_client.py");
    return this.keep(
      spawn("python3", [script, url, ledger, "--name", name, ...args], {
        stdio: ["ignore", "inherit", "inherit"],
      }),
    );
  }
  /** A worker process of an SDK, by default on the queue "sdk"; its steps write into the sink. */
  sdkWorker(
    sdk: Sdk,
    identity: string,
    options: { address?: string; queue?: string; killPoint?: KillPoint } = {},
  ): ChildProcess {
    const [command, ...first] = sdkCommand(sdk);
    const { address = this.url, queue = "sdk", killPoint = "" } = options;
    const args = [...first, address, queue, this.sink, identity, killPoint];
    return this.keep(spawn(command as string, args, { stdio: ["ignore", "ignore", "ignore"] }));
  }
  /** A process of a program on the client of an SDK: see sdk-program.ts. */
  sdkProgram(sdk: "go" | "python", args: readonly string[]): ChildProcess {
    const [command, ...first] =
      sdk === "go"
        ? [goProgramPath("tortureprogram")]
        : [pythonEnvironment(root), join(import.meta.dirname, "sdk_program.py")];
    return this.keep(spawn(command as string, [...first, ...args], { stdio: ["ignore", "pipe", "inherit"] }));
  }
  keep(child: ChildProcess): ChildProcess {
    this.#children.push(child);
    return child;
  }
  /** Operations that the ledgers say were acknowledged. */
  get acknowledged(): number {
    return this.ledgers.reduce((sum, path) => sum + this.#acknowledgedIn(path), 0);
  }
  #acknowledgedIn(path: string): number {
    const seen = this.#seen.get(path) ?? { bytes: 0, count: 0 };
    if (!existsSync(path)) return 0;
    const file = openSync(path, "r");
    const fresh = Buffer.alloc(Math.max(0, statSync(path).size - seen.bytes));
    const length = readSync(file, fresh, 0, fresh.length, seen.bytes);
    closeSync(file);
    // Whole lines only: the rest is read next time.
    const whole = fresh.subarray(0, fresh.subarray(0, length).lastIndexOf("\n") + 1);
    seen.bytes += whole.length;
    seen.count += whole.toString().split('"kind": "ok"').length - 1;
    this.#seen.set(path, seen);
    return seen.count;
  }
  /** How often bodies of this run's steps have been called. */
  calls(runId: string): number {
    const lines = existsSync(this.sink) ? readFileSync(this.sink, "utf8").split("\n") : [];
    return lines.filter((line) => line.includes(runId)).length;
  }
  async answered(timeoutMs?: number): Promise<void> {
    const before = this.acknowledged;
    await until(() => this.acknowledged > before, "the server answers", timeoutMs);
  }
  /** The separate code's reading of the file. */
  async check(
    options: { db?: string; finished?: boolean; before?: bigint; ids?: boolean; poisoned?: readonly string[] } = {},
  ): Promise<Checked> {
    const sink = existsSync(this.sink) ? ["--sink", this.sink] : [];
    const ledgers = this.ledgers.flatMap((ledger) => ["--ledger", ledger]);
    const args = [options.db ?? this.db, ...ledgers, ...sink, ...(options.finished ? ["--finished"] : [])];
    if (options.ids) args.push("--ids");
    if (options.before !== undefined) args.push("--before", String(options.before));
    for (const runId of options.poisoned ?? []) args.push("--poisoned", runId);
    const script = join(import.meta.dirname, "check_ledger.py");
    const { stdout } = await run("python3", [script, ...args], { maxBuffer: 1 << 26 }).catch((error) => {
      if (typeof error.stdout === "string" && error.stdout !== "") return error as { stdout: string };
      throw error;
    });
    return JSON.parse(stdout) as Checked;
  }
  /** The product's own reading. The first of what it finds wrong, a line each. */
  async verify(db = this.db): Promise<string[]> {
    return (await this.verifyAll(db)).slice(0, 5).map((line) => `verify: ${line}`);
  }
  /** All that it says, when it finds something wrong. */
  async verifyAll(db = this.db): Promise<string[]> {
    try {
      await run(process.execPath, [program("everstep"), "verify", "--db", db], { timeout: verifyMsMax });
      return [];
    } catch (error) {
      const { stdout = "", stderr = "", killed } = error as { stdout?: string; stderr?: string; killed?: boolean };
      if (killed) throw new Error(`verify did not end within ${verifyMsMax} ms`);
      return `${stdout}${stderr}`.trim().split("\n");
    }
  }
  /** Begins a copy of the file by the product's own command. */
  backup(target: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
    const args = [program("everstep"), "backup", target, "--db", this.db];
    return this.keep(
      spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, ...env } }),
    );
  }
  async checkBoth(options: { finished?: boolean } = {}): Promise<{ checked: Checked; problems: string[] }> {
    const checked = await this.check(options);
    return { checked, problems: [...checked.problems, ...(await this.verify())] };
  }
  async end(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, "exit");
      child.kill(signal);
      await exit;
    }
    return child.exitCode;
  }
  /** Ends a ledger client; says what is wrong when it has met what may never be, or a lane of it ended by itself. */
  async endClient(client: ChildProcess): Promise<string[]> {
    const code = await this.end(client);
    return code === 0 ? [] : [`the ledger client ended with ${code ?? client.signalCode}`];
  }
  async exited(child: ChildProcess): Promise<number | null> {
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return child.exitCode;
  }
  async close(): Promise<void> {
    for (const child of this.#children) {
      child.kill("SIGCONT");
      await this.end(child, "SIGKILL");
    }
    await this.server?.signal("SIGKILL");
    if (process.env.KEEP !== "1") rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function withRig<T>(body: (rig: Rig) => Promise<T>, args?: string[]): Promise<T> {
  const rig = await Rig.create(args);
  try {
    return await body(rig);
  } finally {
    await rig.close();
  }
}

/** A rig that serves, with the SDKs built; `body` fills the tally. */
export async function withSdks(body: (rig: Rig, tally: Tally) => Promise<void>, args?: string[]): Promise<Tally> {
  return withRig(async (rig) => {
    const tally = new Tally();
    prepareSdks();
    await rig.serve();
    await body(rig, tally);
    return tally;
  }, args);
}
