import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { LeaseHandle } from "../../src/engine/frames.ts";
import { createEngine, type Engine } from "../../src/index.ts";
import { Histogram } from "../histogram.ts";
import { createBenchFolder } from "../load/folder.ts";
import { measure } from "../load/measure.ts";
import { type Measured, type Parameters, type Result, resultOf } from "../result.ts";

// The engine in process, on a real file: as many runs as are in flight, each committing one step after the other and
// ending after `stepsPerRun`; then the next one is granted. Starts, grants and ends are part of the load and not counted.

const stepsPerRun = 20;
const startChunk = 256;

const start = {
  namespace: "default",
  runId: "",
  workflow: "bench",
  queue: "default",
  runKey: "",
  priority: 5,
  input: undefined,
  startDelayMs: 0,
  runTimeoutMs: 0,
  requestId: "",
};
const output = { data: '"twenty bytes of step"', encoding: "" };

export async function core(parameters: Parameters): Promise<Result[]> {
  const folder = createBenchFolder();
  const engine = await createEngine({ path: join(folder.path, "core.db") });
  const { measured, stepsPerCommit } = await loadEngine(engine, parameters);
  await engine.stop();
  folder.remove();
  return [resultOf("core", parameters, measured, { stepsPerCommit })];
}

interface LiveRun {
  readonly lease: LeaseHandle;
  opId: number;
  sentAtMs: number;
}

export async function loadEngine(
  engine: Engine,
  parameters: Parameters,
): Promise<{ measured: Measured; stepsPerCommit: number }> {
  const latency = new Histogram();
  let steps = 0;
  let finished = 0;
  let stopped = false;
  const runs = new Map<string, LiveRun>();
  const handle = engine.openSession({ wake: () => setImmediate(read), end() {} });

  function sendNext(run: LiveRun): void {
    run.opId += 1;
    run.sentAtMs = performance.now();
    const stepKey = `s${run.opId}`;
    handle.op({
      opId: run.opId,
      lease: run.lease,
      changes:
        run.opId <= stepsPerRun
          ? [{ type: "CompleteStep", stepKey, attempt: 0, output, elapsedMs: 1 }]
          : [{ type: "CompleteRun", output }],
      afterRefused: 0,
    });
  }
  /** Keeps some runs queued beyond those in flight. */
  async function keepStarting(): Promise<void> {
    let started = 0;
    while (!stopped) {
      if (started - finished > parameters.inFlight + startChunk) await pause(1);
      else {
        await engine.startRuns(Array.from({ length: startChunk }, () => start));
        started += startChunk;
      }
    }
  }
  function read(): void {
    for (;;) {
      const frames = handle.take(256 * 1024);
      if (frames.length === 0) return;
      for (const frame of frames) {
        if (frame.kind === "assign") {
          const run = { lease: frame.assignment.lease, opId: 0, sentAtMs: 0 };
          runs.set(run.lease.leaseId, run);
          sendNext(run);
        } else if (frame.kind === "opResult") {
          if (frame.result.outcome.kind !== "applied") throw new Error(JSON.stringify(frame.result.outcome));
          const run = runs.get(frame.result.leaseId);
          if (run === undefined) continue;
          if (run.opId > stepsPerRun) {
            runs.delete(frame.result.leaseId);
            finished += 1;
            continue;
          }
          steps += 1;
          latency.record(performance.now() - run.sentAtMs);
          if (!stopped) sendNext(run);
        }
      }
    }
  }
  handle.hello({
    protocolVersion: 1,
    instanceId: "bench",
    identity: "bench",
    sdk: "bench",
    buildId: "",
    namespace: "default",
    queues: ["default"],
    workflows: ["bench"],
    capacity: parameters.inFlight,
    resume: undefined,
    held: [],
  });
  const starting = keepStarting();
  await pause(parameters.warmUpSeconds * 1_000);
  const { commits } = engine.status().counters;
  const measured = await measure({ ...parameters, warmUpSeconds: 0 }, { count: () => steps, latency, pid: "self" });
  const stepsPerCommit = Math.round(measured.operations / Math.max(1, engine.status().counters.commits - commits));
  stopped = true;
  await starting;
  return { measured, stepsPerCommit };
}
