import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Rig, Sdk } from "./rig.ts";
import { SdkLoad } from "./sdk-load.ts";

/** Lanes that start a run, signal it, wait for its result and start the next one. */
export interface SdkProgram {
  readonly sdk: Sdk;
  /** Runs whose result came. */
  readonly finished: number;
  /** What reached the program, although its SDK asks again. */
  readonly errors: readonly string[];
  /** Ends when each lane has its last result. */
  stop(): Promise<void>;
}

interface ProgramOptions {
  readonly address: string;
  readonly queue: string;
  readonly lanes: number;
}

/** Starts a program on the client of an SDK: in this process, or in one of its own in the language of the SDK. */
export function startProgram(rig: Rig, sdk: Sdk, options: ProgramOptions): SdkProgram {
  const { address, queue, lanes } = options;
  if (sdk !== "typescript") return outside(sdk, rig.sdkProgram(sdk, [address, queue, String(lanes), "signal"]));
  const load = new SdkLoad(address, { lanes, queue, signal: true });
  return {
    sdk,
    get finished() {
      return load.finished;
    },
    errors: load.errors,
    stop: () => load.stop(),
  };
}

function outside(sdk: Sdk, child: ChildProcess): SdkProgram {
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
    get finished() {
      return finished;
    },
    errors,
    async stop() {
      child.kill("SIGTERM");
      const [[code]] = (await ended) as [[number | null], unknown];
      if (code !== 0) throw new Error(`the program on ${sdk} ended with ${code}`);
    },
  };
}
