import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Rig, Sdk } from "./rig.ts";
import { SdkLoad } from "./sdk-load.ts";
import { ask, listedRuns } from "./served-truth.ts";

/** Lanes that start a run, signal it, wait for its result and start the next one. */
export interface SdkProgram {
  readonly sdk: Sdk;
  /** Of this program alone. */
  readonly queue: string;
  /** Runs whose result came. */
  readonly finished: number;
  /** What reached the program, although its SDK asks again. */
  readonly errors: readonly string[];
  /** Ends when each lane has its last result; says what is wrong with how it ended. */
  stop(): Promise<string[]>;
}

interface ProgramOptions {
  readonly address: string;
  readonly queue: string;
  readonly lanes: number;
}

/** Starts a program on the client of an SDK: in this process, or in one of its own in the language of the SDK. */
export function startProgram(rig: Rig, sdk: Sdk, options: ProgramOptions): SdkProgram {
  const { address, queue, lanes } = options;
  if (sdk !== "typescript") return outside(sdk, queue, rig.sdkProgram(sdk, [address, queue, String(lanes)]));
  const load = new SdkLoad(address, { lanes, queue, signal: true });
  return {
    sdk,
    queue,
    get finished() {
      return load.finished;
    },
    errors: load.errors,
    async stop() {
      await load.stop();
      return [];
    },
  };
}

function outside(sdk: Sdk, queue: string, child: ChildProcess): SdkProgram {
  if (child.stdout === null) throw new Error("its output is not read");
  let finished = 0;
  const errors: string[] = [];
  const lines = createInterface(child.stdout);
  lines.on("line", (line) => {
    if (line === "finished") finished += 1;
    else errors.push(line);
  });
  const ended = Promise.all([once(child, "exit"), once(lines, "close")]);
  return {
    sdk,
    queue,
    get finished() {
      return finished;
    },
    errors,
    async stop() {
      child.kill("SIGTERM");
      const [[code]] = (await ended) as [[number | null], unknown];
      return code === 0 ? [] : [`the program on ${sdk} ended with ${code}`];
    },
  };
}

/** Each run that a program has the result of is there once, with the one signal that it was sent, and no other. */
export async function allOnce(rig: Rig, programs: readonly SdkProgram[]): Promise<string[]> {
  const violations: string[] = [];
  for (const { sdk, queue, finished } of programs) {
    const runIds = await listedRuns(rig.url, [], queue);
    if (runIds.length !== finished) violations.push(`${sdk}: there are ${runIds.length} runs, ${finished} have ended`);
    for (const runId of runIds) {
      const { answer } = await ask(rig.url, "ListSignals", { runId });
      const count = ((answer.signals ?? []) as unknown[]).length;
      if (count !== 1) violations.push(`run ${runId} has ${count} signals`);
    }
  }
  return violations;
}
