import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { WorkflowContext } from "../../clients/typescript/src/context.ts";
import { StepFailedError } from "../../clients/typescript/src/errors.ts";
import type { StreamEvents } from "../../clients/typescript/src/ports.ts";
import { Worker } from "../../clients/typescript/src/worker.ts";
import { workflow } from "../../clients/typescript/src/workflow.ts";
import { ServerFrameSchema, WorkerFrameSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { Chance } from "./chance.ts";
import type { Checker } from "./checker.ts";
import type { Fired } from "./fired.ts";
import type { Connection, End } from "./network.ts";
import { type Op, retryPolicyOf } from "./programs.ts";
import { Process, type Timeline } from "./timeline.ts";

// One life of a worker: the real SDK, and a workflow that interprets the program of its input.

export interface WorkerWorld {
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly checker: Checker;
  readonly fired: Fired;
  /** Share of ops that are sent once more, much later. */
  readonly staleShare: number;
  readonly leaseTtlMs: number;
  /** True when the step has killed its worker. */
  readonly dies: (runId: string, key: string, deaths: number) => boolean;
  /** Undefined when nobody listens there. */
  connect(end: End): Connection | undefined;
}

export class SimulatedWorker {
  readonly process: Process;
  readonly #worker: Worker;
  /** The stream that lives now. */
  #connection: Connection | undefined;

  constructor(world: WorkerWorld, name: string, capacity: number) {
    const { timeline, chance, checker, dies } = world;
    const process = new Process(timeline, name);
    this.process = process;
    const hands = { process, chance, checker, dies };
    this.#worker = new Worker({
      workflows: [workflow("program", (ctx, ops: readonly Op[]) => interpret(ctx, ops, hands))],
      queues: ["default", "other"],
      capacity,
      identity: name,
      log: (_, message) => timeline.trace(`${name} ${message}`),
      ports: {
        clock: {
          nowMs: () => timeline.nowMs,
          setTimer: (delayMs, fire) => ({ cancel: process.in(Math.max(0, delayMs), fire) }),
        },
        random: () => chance.float(),
        newId: () => `${name}-${chance.hex(8)}`,
        defer: (run) => void process.in(0, run),
        openStream: (events) => this.#open(world, events),
        isPermanent: () => false,
        renewTransport: () => {},
        close: () => {},
      },
    }).start();
  }

  drain(timeoutMs: number): Promise<void> {
    return this.#worker.drain(timeoutMs);
  }

  #open(world: WorkerWorld, events: StreamEvents) {
    const { process } = this;
    let over = false;
    const end = (error: unknown): void => {
      if (over) return;
      over = true;
      events.onEnd(error);
    };
    const connection = world.connect({
      process,
      message: (bytes) => {
        if (!over) events.onFrame(fromBinary(ServerFrameSchema, bytes));
      },
      finished: () => end(undefined),
      broken: () => end(new Error("simulated: the connection broke")),
    });
    if (connection === undefined) process.in(1, () => end(new Error("simulated: nobody listens")));
    else this.#connection = connection;
    return {
      waitingFrames: 0,
      send: (frame: Parameters<typeof toBinary<typeof WorkerFrameSchema>>[1]) => {
        if (over) return;
        const bytes = toBinary(WorkerFrameSchema, frame);
        connection?.send(0, bytes);
        if (frame.frame.case === "ops" && world.chance.maybe(world.staleShare)) this.#sendAgain(world, bytes);
      },
      finish: () => connection?.finish(0),
      abort: () => {
        over = true;
        connection?.cut([undefined, connection.latencyMs]);
      },
    };
  }

  /** The same ops on whatever stream there is by then: the lease may have another holder. */
  #sendAgain({ chance, fired, leaseTtlMs }: WorkerWorld, bytes: Uint8Array): void {
    this.process.in(chance.float() * leaseTtlMs * 2, () => {
      if (this.#connection?.up === true) fired.hit("staleOps");
      this.#connection?.send(0, bytes);
    });
  }
}

interface Hands {
  readonly process: Process;
  readonly chance: Chance;
  readonly checker: Checker;
  readonly dies: WorkerWorld["dies"];
}

/** Runs the program; its output lists the results in order. */
async function interpret(ctx: WorkflowContext, ops: readonly Op[], hands: Hands): Promise<string[]> {
  const results: string[] = [];
  for (const op of ops) {
    const result = await interpretOne(ctx, op, hands);
    if (result !== undefined) results.push(...(Array.isArray(result) ? result : [result]));
  }
  return results;
}

async function interpretOne(ctx: WorkflowContext, op: Op, hands: Hands): Promise<string | string[] | undefined> {
  const effect = (key: string): string => {
    const output = `${key} ${hands.chance.hex(6)}`;
    hands.checker.effect(ctx.runId, key, JSON.stringify(output));
    return output;
  };
  const works = async (ms: number): Promise<void> => {
    if (ms > 0) await new Promise<void>((resolve) => hands.process.in(ms, resolve));
  };
  switch (op.do) {
    case "step":
      return ctx.step(
        op.key,
        async ({ attempt }) => {
          await works(op.ms);
          hands.checker.stirred();
          if (attempt <= op.fails) throw new Error("simulated");
          return effect(op.key);
        },
        { retry: retryPolicyOf(op) },
      );
    case "once":
      return ctx.step(
        op.key,
        async () => {
          hands.checker.entered(ctx.runId, op.key);
          await works(op.ms);
          hands.checker.stirred();
          return effect(op.key);
        },
        { atMostOnce: true },
      );
    case "poison":
      return ctx.step(op.key, async () => {
        if (hands.dies(ctx.runId, op.key, op.deaths)) await new Promise(() => {});
        return effect(op.key);
      });
    case "sleep":
      await ctx.sleep(op.key, op.ms);
      return undefined;
    case "signal":
      await ctx.signal(op.name, op.timeoutMs === 0 ? {} : { timeoutMs: op.timeoutMs });
      return undefined;
    case "parallel":
      return (await Promise.all(op.ops.map((inner) => interpretOne(ctx, inner, hands)))).flatMap(
        (result) => result ?? [],
      );
    case "caught":
      try {
        await ctx.step(
          op.key,
          () => {
            throw new Error("simulated");
          },
          { retry: retryPolicyOf(op) },
        );
      } catch (error) {
        if (!(error instanceof StepFailedError)) throw error;
      }
      return undefined;
  }
}
