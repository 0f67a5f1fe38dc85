import { existsSync, renameSync, rmSync } from "node:fs";
import type { Change } from "../../src/core/command.ts";
import { createEngine, type Engine } from "../../src/index.ts";
import { keptFile } from "./folder.ts";

// Files too large to be made for each benchmark: built once by the engine itself, kept in .cache/bench.

export interface FileContent {
  /** COMPLETED, of workflow `closed`. */
  readonly closed?: number;
  /** WAITING for a timer that is a year away, of workflow `waiting`. */
  readonly waiting?: number;
  /** RUNNING, of workflow `leased`. */
  readonly leased?: number;
  /** QUEUED, of workflow `bench`. */
  readonly queued?: number;
}

const startChunk = 1_000;
const capacity = 2_000;
const yearMs = 31_536_000_000;

/** The path of the file, built if need be. */
export async function buildFile(name: string, content: FileContent): Promise<string> {
  const path = keptFile(name);
  if (existsSync(path)) return path;
  const building = `${path}.building`;
  for (const suffix of ["", "-wal", "-shm", ".lock"]) rmSync(`${building}${suffix}`, { force: true });
  const engine = await createEngine({ path: building });
  const { closed = 0, waiting = 0, leased = 0, queued = 0 } = content;
  await work(engine, "closed", closed, [{ type: "CompleteRun", output: undefined }]);
  await work(engine, "waiting", waiting, [
    { type: "SetTimer", stepKey: "later", delayMs: yearMs, signalName: "" },
    { type: "SuspendRun", awaits: [{ kind: "timer", stepKey: "later" }], noticesSeen: 0 },
  ]);
  await work(engine, "leased", leased, undefined);
  await startRuns(engine, "bench", queued);
  await engine.stop();
  rmSync(`${building}.lock`, { force: true });
  renameSync(building, path);
  return path;
}

async function startRuns(engine: Engine, workflow: string, count: number): Promise<void> {
  const request = {
    namespace: "default",
    runId: "",
    workflow,
    queue: "default",
    runKey: "",
    priority: 5,
    input: undefined,
    startDelayMs: 0,
    runTimeoutMs: 0,
    requestId: "",
  };
  for (let left = count; left > 0; left -= startChunk) {
    await engine.startRuns(Array.from({ length: Math.min(left, startChunk) }, () => request));
  }
}

/** Starts so many runs and gives each of them this op; without changes they stay leased. */
async function work(
  engine: Engine,
  workflow: string,
  count: number,
  changes: readonly Change[] | undefined,
): Promise<void> {
  if (count === 0) return;
  let done = 0;
  let allDone: () => void = () => {};
  const finished = new Promise<void>((resolve) => (allDone = resolve));
  const handle = engine.openSession({ wake: () => setImmediate(read), end() {} });
  function read(): void {
    for (let frames = handle.take(1_000_000); frames.length > 0; frames = handle.take(1_000_000)) {
      for (const frame of frames) {
        if (frame.kind === "assign") {
          const { lease } = frame.assignment;
          if (changes === undefined) {
            handle.accept([lease]);
            done += 1;
          } else handle.op({ opId: 1, lease, changes, afterRefused: 0 });
        } else if (frame.kind === "opResult") {
          if (frame.result.outcome.kind !== "applied") throw new Error(JSON.stringify(frame.result.outcome));
          done += 1;
        }
      }
    }
    if (done === count) allDone();
  }
  handle.hello({
    protocolVersion: 1,
    instanceId: `builder-${workflow}`,
    identity: "builder",
    sdk: "bench",
    buildId: "",
    namespace: "default",
    queues: ["default"],
    workflows: [workflow],
    capacity,
    resume: undefined,
    held: [],
  });
  await startRuns(engine, workflow, count);
  await finished;
  // Cut, not closed: what it holds stays leased.
  handle.closed();
}
