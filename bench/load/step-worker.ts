import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { create } from "@bufbuild/protobuf";
import { type Op, OpSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { type SessionRequest, WorkerService } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { Histogram } from "../histogram.ts";

// A raw client of the stream: no workflow code, just leases and ops, as fast as answers come. Each run gets its steps
// one after the other and then ends.

interface LiveRun {
  readonly lease: Lease;
  steps: number;
  sentAtMs: number;
}

export function createStepWorker(url: string, options: { capacity: number; stepsPerRun: number }) {
  const client = createClient(WorkerService, createGrpcTransport({ baseUrl: url }));
  const latency = new Histogram();
  const runs = new Map<string, LiveRun>();
  const output = { data: { case: "json" as const, value: '"twenty bytes of step"' } };
  let frames: SessionRequest["frame"][] = [];
  let ops: Op[] = [];
  let accepted: Lease[] = [];
  let wake: (() => void) | undefined;
  let stopped = false;
  let steps = 0;
  let finished = 0;

  const keyOf = (leaseId: Uint8Array) =>
    Buffer.from(leaseId.buffer, leaseId.byteOffset, leaseId.length).toString("latin1");
  function push(frame: NonNullable<SessionRequest["frame"]>["frame"]): void {
    frames.push({ $typeName: "everstep.v1.WorkerFrame", frame });
    wake?.();
    wake = undefined;
  }
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
    if (accepted.length > 0) push({ case: "accept", value: { $typeName: "everstep.v1.Accept", leases: accepted } });
    for (let from = 0; from < ops.length; from += 1_024) {
      push({ case: "ops", value: { $typeName: "everstep.v1.Ops", ops: ops.slice(from, from + 1_024) } });
    }
    accepted = [];
    ops = [];
  }
  async function* requests(): AsyncGenerator<SessionRequest> {
    while (!stopped) {
      const waiting = frames;
      frames = [];
      for (const frame of waiting) yield { $typeName: "everstep.v1.SessionRequest", frame } as SessionRequest;
      if (frames.length === 0 && !stopped) await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  push({
    case: "hello",
    value: {
      $typeName: "everstep.v1.Hello",
      protocolVersion: 1,
      workerInstanceId: `bench-${process.pid}`,
      identity: "bench",
      sdk: "raw",
      buildId: "",
      namespace: "",
      queues: ["default"],
      workflows: ["bench"],
      capacity: options.capacity,
      held: [],
    },
  });
  let beatSeq = 0n;
  const beats = setInterval(() => {
    const held = [...runs.values()].map(({ lease }) => ({
      $typeName: "everstep.v1.BeatLease" as const,
      leaseId: lease.leaseId,
      epoch: lease.epoch,
      noticesSeen: 0n,
    }));
    push({ case: "beat", value: { $typeName: "everstep.v1.Beat", beatSeq: ++beatSeq, held } });
  }, 5_000);

  const loop = (async () => {
    for await (const { frame } of client.session(requests())) {
      const content = frame?.frame;
      if (content?.case === "assign") {
        for (const { lease } of content.value.assignments) {
          const run: LiveRun = { lease: lease as Lease, steps: 0, sentAtMs: 0 };
          runs.set(keyOf(run.lease.leaseId), run);
          accepted.push(run.lease);
          send(run);
        }
      } else if (content?.case === "opResults") {
        const nowMs = performance.now();
        for (const result of content.value.results) {
          if (result.result.case !== "applied") throw new Error(JSON.stringify(result.result.value));
          const key = keyOf(result.leaseId);
          const run = runs.get(key);
          if (run === undefined) continue;
          if (run.steps > options.stepsPerRun) {
            runs.delete(key);
            finished += 1;
            continue;
          }
          steps += 1;
          latency.record(nowMs - run.sentAtMs);
          send(run);
        }
      }
      flush();
      if (stopped) break;
    }
  })();

  return {
    latency,
    get steps() {
      return steps;
    },
    get finished() {
      return finished;
    },
    failed: loop,
    stop() {
      stopped = true;
      clearInterval(beats);
      wake?.();
    },
  };
}
