import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Bench } from "tinybench";
import { SessionRequestSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { Change } from "../../src/core/command.ts";
import { decide } from "../../src/core/decide.ts";
import type { DecideContext } from "../../src/core/decision.ts";
import { digestOf } from "../../src/core/digest.ts";
import type { RunEvent } from "../../src/core/event.ts";
import { evolve } from "../../src/core/evolve.ts";
import { createState } from "../../src/core/new-state.ts";
import type { RunState } from "../../src/core/state.ts";
import type { ServerFrame } from "../../src/engine/frames.ts";
import * as limits from "../../src/limits.ts";
import { createKnownLeases } from "../../src/server/session-wire/known-leases.ts";
import { leanResponses, leanSession, type LeanSessionRequest } from "../../src/server/session-wire/lean-session.ts";
import { createOpReader } from "../../src/server/session-wire/op-reader.ts";
import { encodeBatch } from "../../src/store/sqlite/batch-codec.ts";
import { migrate } from "../../src/store/sqlite/migrate.ts";
import { openConnection } from "../../src/store/sqlite/open.ts";
import { createWriter } from "../../src/store/sqlite/writer.ts";
import { Histogram } from "../histogram.ts";
import { createBenchFolder } from "../load/folder.ts";
import { createInlineCheckpoints } from "../load/inline-checkpoints.ts";
import { type Parameters, type Result, resultOf, rssMiB } from "../result.ts";

// The small things, each by itself and for 128 ops: reading a frame of ops, deciding them, writing their events (one
// transaction, one sync), putting their results into a frame.

const ops = 128;
const leaseId = "0123456789abcdef0123456789abcdef";
const change: Change = {
  type: "CompleteStep",
  stepKey: "charge",
  attempt: 0,
  output: { data: '"twenty bytes of step"', encoding: "" },
  elapsedMs: 1,
};
const context: DecideContext = {
  nowMs: Date.now(),
  random: () => 0.5,
  stored: () => undefined,
  limits: { ...limits, reservedEvents: limits.historyReservedEvents, reservedBytes: limits.historyReservedBytes },
};

export async function micro(parameters: Parameters): Promise<Result[]> {
  const folder = createBenchFolder();
  const database = openConnection(join(folder.path, "micro.db"), "writer");
  migrate(database);
  const writer = createWriter(database);
  const copyGrownLog = createInlineCheckpoints(database);
  const request = toBinary(SessionRequestSchema, opsFrame());
  const opReader = createOpReader({
    leases: createKnownLeases(limits.knownLeasesMax),
    payloadBytesMax: limits.payloadBytesMax,
  });
  const results = resultFrames();
  const states = Array.from({ length: ops }, (_, run) => leasedRun(run + 1));
  let commitNo = 0;
  const bench = new Bench({ time: parameters.seconds * 250, warmupTime: parameters.warmUpSeconds * 100 });
  bench
    .add("decode a frame of ops", () => {
      const { frame } = fromBinary(leanSession.input, request) as LeanSessionRequest;
      if (opReader.read(frame?.ops ?? []).length !== ops) throw new Error("ops are missing");
    })
    .add("decide", () => {
      for (const state of states) decideStep(state);
    })
    .add("commit", () => {
      commitNo += 1;
      const events = states.map((_, index) => ({
        runNo: commitNo * ops + index,
        event: eventOf(states[index] as RunState),
      }));
      const outcome = writer.commit(
        encodeBatch({ commitNo, newestAtMs: context.nowMs, events, runs: [], deadlines: [] }),
      );
      if (outcome.kind !== "durable") throw new Error(outcome.message);
      copyGrownLog();
    })
    .add("encode a frame of results", () => {
      for (const response of leanResponses(results)) toBinary(leanSession.output, response);
    });
  await bench.run();
  database.close();
  folder.remove();
  return bench.tasks.map(({ name, result }) => {
    if (result.state !== "completed") throw new Error(`${name}: ${result.state}`);
    const latency = new Histogram();
    const { mean, p50, p99 } = result.latency;
    const row = resultOf(
      "micro",
      { ...parameters, inFlight: ops },
      { operations: ops, elapsedMs: mean, latency, rssMiB: rssMiB() },
      { what: name },
    );
    return { ...row, p50Ms: Number(p50.toPrecision(3)), p99Ms: Number(p99.toPrecision(3)) };
  });
}

function opsFrame() {
  return {
    $typeName: "everstep.v1.SessionRequest" as const,
    frame: {
      $typeName: "everstep.v1.WorkerFrame" as const,
      frame: {
        case: "ops" as const,
        value: {
          $typeName: "everstep.v1.Ops" as const,
          ops: Array.from({ length: ops }, (_, run) => ({
            $typeName: "everstep.v1.Op" as const,
            opId: 1n,
            lease: {
              $typeName: "everstep.v1.Lease" as const,
              runId: `run-${run}`,
              leaseId: Buffer.from(run.toString(16).padStart(4, "0") + leaseId.slice(4), "hex"),
              epoch: 1n,
            },
            afterRefused: 0n,
            changes: [
              {
                $typeName: "everstep.v1.Change" as const,
                change: {
                  case: "completeStep" as const,
                  value: {
                    $typeName: "everstep.v1.StepCompletion" as const,
                    stepKey: "charge",
                    attempt: 0,
                    output: {
                      $typeName: "everstep.v1.Payload" as const,
                      data: { case: "json" as const, value: '"twenty bytes of step"' },
                      encoding: "",
                    },
                    elapsedMs: 1n,
                  },
                },
              },
            ],
          })),
        },
      },
    },
  };
}

function resultFrames(): ServerFrame[] {
  return Array.from({ length: ops }, (_, run) => ({
    kind: "opResult" as const,
    result: {
      opId: run + 1,
      leaseId,
      outcome: {
        kind: "applied" as const,
        already: false,
        lastSeq: 3,
        notes: [],
        nowMs: context.nowMs,
        queued: false,
      },
    },
  }));
}

function leasedRun(runNo: number): RunState {
  const state = createState({ runNo, namespace: "default", runId: `run-${runNo}` });
  const column = { atMs: context.nowMs, epoch: 0, opId: 0, opDigest: 0, stepKey: "", startedAtMs: 0, bytes: 0 };
  const events = [
    { ...column, type: "RunCreated", seq: 1, payload: undefined, detail: { workflow: "bench", queue: "default" } },
    {
      ...column,
      type: "LeaseGranted",
      seq: 2,
      epoch: 1,
      payload: undefined,
      detail: { leaseId, ttlMs: 30_000, workerId: "bench", instanceId: "bench-bench" },
    },
  ];
  for (const event of events) evolve(state, event as unknown as RunEvent);
  return state;
}

function decideStep(state: RunState) {
  return decide(
    state,
    {
      type: "ApplyOp",
      lease: { leaseId, epoch: 1 },
      opId: 1,
      afterRefused: 0,
      changes: [change],
      digest: digestOf([change]),
      onSession: true,
    },
    context,
  );
}

function eventOf(state: RunState): RunEvent {
  const decision = decideStep(state);
  if (decision.kind !== "accepted") throw new Error(JSON.stringify(decision));
  return decision.events[0] as RunEvent;
}
