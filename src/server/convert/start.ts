import type { RunFilter } from "../../store/store.ts";
import type { StartRequest } from "../../engine/api.ts";
import type {
  RunFilter as WireFilter,
  StartRunRequest as WireStart,
} from "../../../gen/ts/everstep/v1/run_service_pb.ts";
import {
  checkDuration,
  checkInt,
  checkName,
  checkNamespace,
  checkOptionalName,
  checkRequestId,
  checkRunId,
  checkRunKey,
  nameOrDefault,
} from "../validate.ts";
import { payloadFrom } from "./payload.ts";
import { statusesFrom } from "./run.ts";

const priorityDefault = 5;

export function startFrom(wire: WireStart, bytesMax: number): StartRequest {
  return {
    namespace: checkNamespace(wire.namespace),
    runId: wire.runId === "" ? "" : checkRunId(wire.runId),
    workflow: checkName("workflow", wire.workflow),
    queue: nameOrDefault("queue", wire.queue),
    runKey: checkRunKey(wire.runKey),
    priority: checkInt("priority", wire.priority ?? priorityDefault, 0, 9),
    input: payloadFrom("input", wire.input, bytesMax),
    startDelayMs: checkDuration("start_delay_ms", wire.startDelayMs),
    runTimeoutMs: checkDuration("run_timeout_ms", wire.runTimeoutMs),
    requestId: checkRequestId(wire.requestId),
  };
}

export function filterFrom(wire: WireFilter | undefined): RunFilter {
  if (wire === undefined) return { namespace: "default", workflow: "", queue: "", statuses: [], runKey: "" };
  return {
    namespace: checkNamespace(wire.namespace),
    workflow: checkOptionalName("workflow", wire.workflow),
    queue: checkOptionalName("queue", wire.queue),
    statuses: statusesFrom(wire.statuses),
    runKey: checkRunKey(wire.runKey),
  };
}
