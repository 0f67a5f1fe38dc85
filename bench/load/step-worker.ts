import { type Op, OpSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import { create } from "@bufbuild/protobuf";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { Histogram } from "../histogram.ts";
import type { Latency } from "../result.ts";
import { failWith, openStream } from "./stream.ts";

// A raw client of the stream: no workflow code, just leases and ops, as fast as answers come. Each run gets its steps
// one after the other and then ends.

interface LiveRun {
  readonly lease: Lease;
  steps: number;
  sentAtMs: number;
}

/** What one frame may carry; the SDKs send no more either. */
const frameOpsMax = 1_024;

export interface StepWorker {
  /** From the op to its result; of runs without steps, from the end of one run to the next grant. */
  readonly latency: Latency & { reset(): void };
  readonly steps: number;
  readonly finished: number;
  stop(): void;
}

export function createStepWorker(url: string, options: { capacity: number; stepsPerRun: number }): StepWorker {
  const latency = new Histogram();
  const runs = new Map<string, LiveRun>();
  const output = {
    $typeName: "everstep.v1.Payload" as const,
    data: { case: "json" as const, value: '"twenty bytes of step"' },
    encoding: "",
  };
  let ops: Op[] = [];
  let accepted: Lease[] = [];
  let steps = 0;
  let finished = 0;

  const keyOf = (leaseId: Uint8Array) =>
    Buffer.from(leaseId.buffer, leaseId.byteOffset, leaseId.length).toString("latin1");
  function send(run: LiveRun): void {
    run.steps += 1;
    run.sentAtMs = performance.now();
    const change =
      run.steps <= options.stepsPerRun
        ? { case: "completeStep" as const, value: { stepKey: `s${run.steps}`, output, elapsedMs: 1n } }
        : { case: "completeRun" as const, value: { output } };
    ops.push(create(OpSchema, { opId: BigInt(run.steps), lease: run.lease, changes: [{ change }] }));
  }
  function flush(): void {
    if (accepted.length > 0) {
      stream.push({ case: "accept", value: { $typeName: "everstep.v1.Accept", leases: accepted } });
    }
    for (let from = 0; from < ops.length; from += frameOpsMax) {
      const part = ops.slice(from, from + frameOpsMax);
      stream.push({ case: "ops", value: { $typeName: "everstep.v1.Ops", ops: part } });
    }
    accepted = [];
    ops = [];
  }
  const stream = openStream(url, {
    capacity: options.capacity,
    *held() {
      for (const { lease } of runs.values()) yield lease;
    },
    onFrame(frame) {
      if (frame.case === "assign") {
        for (const { lease } of frame.value.assignments) {
          const run: LiveRun = { lease: lease as Lease, steps: 0, sentAtMs: 0 };
          runs.set(keyOf(run.lease.leaseId), run);
          accepted.push(run.lease);
          send(run);
        }
      } else if (frame.case === "opResults") {
        const nowMs = performance.now();
        for (const result of frame.value.results) {
          if (result.result.case !== "applied") throw new Error(JSON.stringify(result.result.value));
          const key = keyOf(result.leaseId);
          const run = runs.get(key);
          if (run === undefined) continue;
          if (run.steps > options.stepsPerRun) {
            runs.delete(key);
            finished += 1;
            if (options.stepsPerRun === 0) latency.record(nowMs - run.sentAtMs);
            continue;
          }
          steps += 1;
          latency.record(nowMs - run.sentAtMs);
          send(run);
        }
      }
      flush();
    },
  });
  failWith(stream.ended);
  return {
    latency,
    get steps() {
      return steps;
    },
    get finished() {
      return finished;
    },
    stop: () => stream.stop(),
  };
}
