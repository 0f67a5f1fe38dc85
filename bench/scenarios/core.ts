import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { LeaseHandle } from "../../src/engine/frames.ts";
import { createEngine } from "../../src/index.ts";
import { Histogram } from "../histogram.ts";
import { type Parameters, type Result, resultOf, rssMiB } from "../result.ts";

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

export async function core(parameters: Parameters): Promise<Result> {
  const folder = mkdtempSync(join(process.env.EVERSTEP_BENCH_FOLDER ?? tmpdir(), "everstep-bench-"));
  const engine = await createEngine({ path: join(folder, "core.db") });
  const latency = new Histogram();
  let operations = 0;
  let stopped = false;
  const steps = new Map<string, { lease: LeaseHandle; opId: number; sentAtMs: number }>();
  const handle = engine.openSession({ wake: () => setImmediate(read), end() {} });

  function sendStep(run: { lease: LeaseHandle; opId: number; sentAtMs: number }): void {
    run.opId += 1;
    run.sentAtMs = performance.now();
    handle.op({
      opId: run.opId,
      lease: run.lease,
      changes: [{ type: "CompleteStep", stepKey: `s${run.opId}`, attempt: 0, output, elapsedMs: 1 }],
      afterRefused: 0,
    });
  }
  function sendNext(run: { lease: LeaseHandle; opId: number; sentAtMs: number }): void {
    if (run.opId < stepsPerRun) return sendStep(run);
    run.opId += 1;
    const changes = [{ type: "CompleteRun", output } as const];
    handle.op({ opId: run.opId, lease: run.lease, changes, afterRefused: 0 });
  }
  /** Keeps some runs queued beyond those in flight. */
  async function keepStarting(): Promise<void> {
    let started = 0;
    while (!stopped) {
      if (started - finished() > parameters.inFlight + startChunk) await pause(1);
      else {
        await engine.startRuns(Array.from({ length: startChunk }, () => start));
        started += startChunk;
      }
    }
  }
  const finished = () => engine.status().counters.grants - steps.size;
  function read(): void {
    for (;;) {
      const frames = handle.take(256 * 1024);
      if (frames.length === 0) return;
      for (const frame of frames) {
        if (frame.kind === "assign") {
          const run = { lease: frame.assignment.lease, opId: 0, sentAtMs: 0 };
          steps.set(run.lease.leaseId, run);
          sendStep(run);
        } else if (frame.kind === "opResult") {
          if (frame.result.outcome.kind !== "applied") throw new Error(JSON.stringify(frame.result.outcome));
          const run = steps.get(frame.result.leaseId);
          if (run === undefined) continue;
          if (run.opId > stepsPerRun) {
            steps.delete(frame.result.leaseId);
            continue;
          }
          operations += 1;
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
  const before = { ...engine.status().counters };
  operations = 0;
  latency.reset();
  const startedAtMs = performance.now();
  await pause(parameters.seconds * 1_000);
  const elapsedMs = performance.now() - startedAtMs;
  const measured = { operations, elapsedMs, latency, rssMiB: rssMiB() };
  const { counters } = engine.status();
  stopped = true;
  await starting;
  await engine.stop();
  rmSync(folder, { recursive: true });
  const commits = counters.commits - before.commits;
  return resultOf("core", parameters, measured, { opsPerCommit: Math.round(operations / Math.max(1, commits)) });
}
