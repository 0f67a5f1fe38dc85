import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Latency } from "../result.ts";
import { buildGoProgram } from "./go-programs.ts";
import type { StepWorker } from "./step-worker.ts";

interface Progress {
  readonly steps: number;
  readonly finished: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** The raw client in Go, in a process of its own: it leaves more of the two cores to the server. */
export function createGoStepWorker(
  url: string,
  options: { capacity: number; stepsPerRun: number },
): StepWorker & { readonly latency: Latency & { reset(): void } } {
  const child = spawn(buildGoProgram("step"), [url, String(options.capacity), String(options.stepsPerRun)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let stopped = false;
  // A broken stream ends the benchmark: its figures would mean nothing.
  child.on("exit", (code) => {
    if (!stopped) throw new Error(`the raw client ended with code ${code}`);
  });
  let progress: Progress = { steps: 0, finished: 0, p50Ms: 0, p99Ms: 0 };
  createInterface({ input: child.stdout }).on("line", (line) => {
    progress = JSON.parse(line) as Progress;
  });
  return {
    latency: {
      reset: () => child.stdin.write("\n"),
      quantileMs: (q) => Number((q === 0.5 ? progress.p50Ms : progress.p99Ms).toPrecision(3)),
    },
    get steps() {
      return progress.steps;
    },
    get finished() {
      return progress.finished;
    },
    stop() {
      stopped = true;
      child.stdin.end();
    },
  };
}
