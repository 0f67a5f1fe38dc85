import { enumName } from "../../../clients/typescript/src/enum-name.ts";
import { EventType } from "../../../gen/ts/everstep/v1/event_pb.ts";
import type { Client, Resolution, RunInfo, StartOptions, Worker } from "../../../clients/typescript/src/index.ts";
import { type Fail, toError } from "./typescript-errors.ts";
import type { Finish, Holds } from "./typescript-holds.ts";

type Named = Extract<keyof Client, "terminate" | "pause" | "cancel" | "retry">;

export interface Command extends Omit<StartOptions, "runId">, Finish {
  readonly cmd:
    | "finish"
    | "health"
    | "capacity"
    | "drain"
    | "start"
    | "get"
    | "list"
    | "result"
    | "signal"
    | "resume"
    | "watch"
    | Named;
  readonly id: number;
  readonly run?: string;
  readonly key?: string;
  readonly workflow?: string;
  readonly capacity?: number;
  readonly statuses?: RunInfo["status"][];
  readonly timeoutMs?: number;
  readonly name?: string;
  readonly value?: unknown;
  readonly why?: string;
  readonly graceMs?: number;
  readonly resolution?: "repeat" | { complete: unknown } | { fail: Fail };
}

interface Parts {
  readonly worker: Worker;
  readonly client: Client;
  readonly holds: Holds;
  readonly drain: () => void;
}

/** Does one command of the driver protocol and returns the value of its answer. */
export async function commands(command: Command, { worker, client, holds, drain }: Parts): Promise<unknown> {
  const { run = "", key = "", runKey, workflow, queue, statuses, timeoutMs, why: reason, graceMs } = command;
  const reasonAndGrace = { ...(reason === undefined ? {} : { reason }), ...(graceMs === undefined ? {} : { graceMs }) };
  switch (command.cmd) {
    case "finish":
      return holds.finish(run, key, command);
    case "health": {
      const { connected, sessionState: state, held, capacity } = worker.health();
      return { connected, state, held, capacity };
    }
    case "capacity":
      return worker.setCapacity(command.capacity ?? 0);
    case "drain":
      return drain();
    case "start": {
      const { input, requestId, priority, startDelayMs, runTimeoutMs } = command;
      const options = { input, requestId, priority, startDelayMs, runTimeoutMs, runKey, queue, runId: command.run };
      const handle = await client.start(workflow ?? "program", options);
      return { run: handle.runId, alreadyStarted: handle.alreadyStarted };
    }
    case "get": {
      const { status, output, cancelRequested, pauseReason, workflow } = await client.get(run);
      return { status, output, cancelRequested, pauseReason, workflow };
    }
    case "list": {
      const ids: string[] = [];
      for await (const { runId } of client.list({ runKey, workflow, queue, statuses })) ids.push(runId);
      return ids;
    }
    case "result":
      return client.result(run, { timeoutMs });
    case "signal":
      return client.signal(run, command.name ?? "", command.value, { requestId: command.requestId });
    case "cancel":
    case "terminate":
    case "pause":
      return (await client[command.cmd](run, reasonAndGrace)).status;
    case "retry":
      return (await client.retry(run, reason === undefined ? {} : { reason })).status;
    case "resume":
      return (await client.resume(run, resolutionOf(command.resolution))).status;
    case "watch": {
      const types: string[] = [];
      for await (const { type } of client.watch(run)) types.push(enumName(EventType, type));
      return types;
    }
  }
}

function resolutionOf(resolution: Command["resolution"]): { resolution?: Resolution } {
  if (resolution === undefined) return {};
  if (resolution === "repeat" || "complete" in resolution) return { resolution };
  return { resolution: { fail: toError(resolution.fail) } };
}
