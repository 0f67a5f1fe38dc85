import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { program } from "../../scripts/programs.ts";

export const root = join(import.meta.dirname, "..", "..");

/** Longer than a start on a large file under load takes; one that was killed in the midst of it has ended by itself. */
const startMsMax = 60_000;

/** A real server process on a real file. */
export class ServerProcess {
  readonly child: ChildProcess;
  readonly url: string;
  readonly stderr: string[];

  private constructor(child: ChildProcess, url: string, stderr: string[]) {
    this.child = child;
    this.url = url;
    this.stderr = stderr;
  }

  /** `wrap` is put before the command, for example strace with its flags. */
  static async start(options: {
    db: string;
    listen?: string;
    args?: string[];
    wrap?: string[];
    env?: NodeJS.ProcessEnv;
  }): Promise<ServerProcess> {
    const listen = options.listen ?? "127.0.0.1:0";
    const serve = [program("everstep"), "serve", "--db", options.db, "--listen", listen, "--log-level", "error"];
    const [command, ...args] = [...(options.wrap ?? []), process.execPath, ...serve, ...(options.args ?? [])];
    const child = spawn(command as string, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    const stderr: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => stderr.push(line));
    const url = await new Promise<string>((resolve, reject) => {
      const limit = setTimeout(() => {
        child.kill("SIGKILL");
        reject(new Error(`the server neither listened nor ended in ${startMsMax} ms: ${stderr.slice(-5).join("\n")}`));
      }, startMsMax);
      child.once("exit", () => clearTimeout(limit));
      child.once("exit", (code, signal) => {
        reject(new Error(`the server ended (${code ?? signal}) before it listened: ${stderr.slice(-5).join("\n")}`));
      });
      createInterface({ input: child.stdout }).on("line", (line) => {
        const match = /^listening on (\S+)$/.exec(line);
        if (match === null) return;
        clearTimeout(limit);
        resolve(match[1] as string);
      });
    });
    return new ServerProcess(child, url, stderr);
  }

  get exited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }
  async signal(name: NodeJS.Signals): Promise<void> {
    if (this.exited) return;
    this.child.kill(name);
    if (name !== "SIGSTOP" && name !== "SIGCONT") await this.ended();
  }
  async ended(): Promise<number | null> {
    if (!this.exited) await once(this.child, "exit");
    return this.child.exitCode;
  }
}
