import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

export const root = join(import.meta.dirname, "..", "..");

export interface MainJobOptions {
  readonly environment?: NodeJS.ProcessEnv;
  readonly checkout?: string;
  readonly once?: boolean;
}

/** The main job as `npm start -- --once` runs it: the command of package.json, with node_modules/.bin first in PATH. */
export class MainJob {
  readonly #temporary: string;
  readonly #child: ChildProcess;
  readonly lines: string[] = [];
  readonly #exited: Promise<unknown>;
  readonly #closed: Promise<unknown>;
  #errors = "";
  readonly #seen = new Set<() => void>();

  /** Without `once` it goes on, and has its data in its checkout. */
  constructor({ environment = {}, checkout = root, once: flag = true }: MainJobOptions = {}) {
    this.#temporary = mkdtempSync(join(tmpdir(), "everstep-main-job-"));
    const { start } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts;
    const env = {
      ...process.env,
      PATH: [join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter),
      TMPDIR: this.#temporary,
      ...environment,
    };
    // A group of its own, so that a test can see and end what the job left behind.
    const stdio = ["ignore", "pipe", "pipe"] as const;
    const command = `exec ${start}${flag ? " --once" : ""}`;
    this.#child = spawn(command, { cwd: checkout, env, stdio: [...stdio], shell: true, detached: true });
    this.#exited = once(this.#child, "exit");
    this.#closed = once(this.#child, "close");
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      this.lines.push(line);
      for (const look of this.#seen) look();
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => (this.#errors += text));
  }

  /** The first match of a line that was or will be printed; rejects when the job ends without one. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    const find = () => this.lines.map((line) => pattern.exec(line)).find((match) => match !== null);
    const found = new Promise<RegExpExecArray>((resolve) => {
      const look = () => {
        const match = find();
        if (match === undefined) return;
        this.#seen.delete(look);
        resolve(match);
      };
      this.#seen.add(look);
      look();
    });
    return await Promise.race([
      found,
      this.#exited.then(() => {
        throw new Error(`the main job ended without a line like ${pattern}:\n${this.lines.join("\n")}`);
      }),
    ]);
  }

  async exitCode(): Promise<number | null> {
    await this.#exited;
    return this.#child.exitCode;
  }

  /** All that it and what it has started wrote to stderr. */
  async errors(): Promise<string> {
    await this.#closed;
    return this.#errors;
  }

  /** To the job alone, not to what it has started. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** As `| head` does it when it has read enough. */
  stopReading(): void {
    this.#child.stdout!.destroy();
  }

  /** True while any process that it started lives. */
  hasProcesses(): boolean {
    try {
      return process.kill(-(this.#child.pid as number), 0);
    } catch {
      return false;
    }
  }

  leftFiles(): string[] {
    return readdirSync(this.#temporary);
  }

  async end(): Promise<void> {
    if (this.hasProcesses()) process.kill(-(this.#child.pid as number), "SIGKILL");
    await this.#exited;
    rmSync(this.#temporary, { recursive: true, force: true });
  }
}
