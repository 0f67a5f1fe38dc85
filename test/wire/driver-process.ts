import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Driver, root } from "./languages.ts";
import { waitMsMax } from "./limits.ts";
import { isLike } from "./like.ts";
import type { DriverOptions, Like, Tell } from "./scenario.ts";
import type { Transcript } from "./transcript.ts";
import { Waiting } from "./waiting.ts";

export type Fact = { readonly fact: string; readonly [field: string]: unknown };
type Settle = { resolve(fact: Fact): void; reject(error: Error): void };

/** A driver under test: what it has said, and what it is told. */
export class DriverProcess {
  readonly facts: Fact[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Waiting();
  readonly #taken = new Set<Fact>();
  readonly #answers = new Map<number, Settle>();
  readonly #name: string;
  readonly #transcript: Transcript;
  #lastId = 0;
  #exitCode: number | string | undefined;

  constructor(driver: Driver, name: string, address: string, options: DriverOptions, transcript: Transcript) {
    this.#name = name;
    this.#transcript = transcript;
    const [command, ...args] = driver.command;
    const env = {
      ...process.env,
      NODE_COMPILE_CACHE: join(root, ".cache", "node-compile"), // drivers start often
      EVERSTEP_ADDRESS: address,
      WIRE_CAPACITY: String(options.capacity ?? 10),
      WIRE_QUEUES: options.queues ?? "default",
      WIRE_FACTS: options.facts ?? "on",
      WIRE_DRAIN_MS: String(options.drainMs ?? 10_000),
    };
    this.#child = spawn(command as string, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.on("error", (error) => this.#ended(error.message));
    // Not "exit": what it said last may still wait in the pipe then.
    this.#child.on("close", (code, signal) => this.#ended(code ?? String(signal)));
    this.#child.stdin?.on("error", () => {}); // it has ended: its exit says so
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#line(line));
    createInterface({ input: this.#child.stderr! }).on("line", (line) => transcript.add(`${name} stderr`, line));
  }

  #line(line: string): void {
    this.#transcript.add(`${this.#name} says`, line);
    let fact: Fact;
    try {
      fact = JSON.parse(line) as Fact;
    } catch {
      return; // shown in the transcript; whoever waits will miss it
    }
    if (fact.fact === "answer") {
      this.#answers.get(fact.id as number)?.resolve(fact);
      this.#answers.delete(fact.id as number);
      return;
    }
    this.facts.push(fact);
    this.#waiting.changed();
  }

  #ended(how: number | string): void {
    this.#exitCode = how;
    for (const { reject } of this.#answers.values()) reject(new Error(`driver ${this.#name} ended (${how})`));
    this.#answers.clear();
    this.#waiting.changed();
  }

  fact(like: Like): Promise<Fact> {
    const what = () => `from driver ${this.#name} the fact ${JSON.stringify(like)}`;
    return this.#waiting.until(what, () => {
      const found = this.facts.find((fact) => !this.#taken.has(fact) && isLike(fact, like));
      if (found === undefined) {
        if (this.#exitCode !== undefined)
          throw new Error(`driver ${this.#name} ended (${this.#exitCode}) before ${what()}`);
        return undefined;
      }
      this.#taken.add(found);
      return found;
    });
  }

  noUntaken(like: Like): void {
    const found = this.facts.find((fact) => !this.#taken.has(fact) && isLike(fact, like));
    if (found !== undefined) throw new Error(`unexpected: ${JSON.stringify(found)}`);
  }

  exits(): Promise<number | string> {
    return this.#waiting.until(
      () => `the end of driver ${this.#name}`,
      () => this.#exitCode,
    );
  }

  /** The answer to a command. */
  tell(command: Tell): Promise<Fact> {
    const id = ++this.#lastId;
    const line = JSON.stringify({ id, ...command });
    this.#transcript.add(`${this.#name} is told`, line);
    return new Promise((resolve, reject) => {
      if (this.#exitCode !== undefined) return reject(new Error(`driver ${this.#name} has ended`));
      const late = new Error(`driver ${this.#name} did not answer ${line}`);
      const timeout = setTimeout(() => reject(late), waitMsMax);
      this.#answers.set(id, {
        resolve: (fact) => {
          clearTimeout(timeout);
          resolve(fact);
        },
        reject: (error) => {
          clearTimeout(timeout);
          reject(error);
        },
      });
      this.#child.stdin?.write(`${line}\n`);
    });
  }

  /** A stop has come when each of its threads stands still: until then one of them may still hear and act. */
  async signal(name: NodeJS.Signals): Promise<void> {
    this.#child.kill(name);
    while (name === "SIGSTOP" && !this.#standsStill()) await new Promise((resolve) => setImmediate(resolve));
  }
  #standsStill(): boolean {
    if (this.#exitCode !== undefined) throw new Error(`driver ${this.#name} has ended`);
    const tasks = `/proc/${this.#child.pid}/task`;
    // Only Linux tells.
    if (!existsSync(tasks)) return true;
    try {
      return readdirSync(tasks).every((task) => /^State:\s+T/m.test(readFileSync(`${tasks}/${task}/status`, "utf8")));
    } catch {
      return false; // a thread that has just ended: the others still run
    }
  }

  async end(): Promise<void> {
    if (this.#exitCode !== undefined) return;
    this.#child.kill("SIGKILL");
    await this.exits();
  }
}
