import type { Failure } from "../core/failure.ts";
import type { Payload } from "../core/payload.ts";
import type { RunEvent } from "../core/event.ts";
import { finalStatuses, type RunStatus } from "../core/state.ts";
import { CorruptRowError, type RunRow } from "../store/store.ts";
import type { RunRef, RunView } from "./api.ts";
import type { Kernel } from "./kernel.ts";
import { oneAt } from "./run-events.ts";

// A run as answers may show it: its row in the file, and over it what became durable since the row was written. The
// row of a leased run is only written when its status changes; its steps are counted in memory.

export function viewOf(
  kernel: Kernel,
  row: RunRow,
  more?: { input?: Payload | undefined; output?: Payload | undefined; failure?: Failure | undefined },
): RunView {
  const durable = row.status === "RUNNING" ? kernel.runs.peek(row.runNo)?.durable : undefined;
  return {
    runNo: row.runNo,
    namespace: row.namespace,
    runId: row.runId,
    workflow: row.workflow,
    queue: row.queue,
    runKey: row.runKey,
    status: row.status,
    pauseReason: row.pauseReason,
    cancelRequested: row.cancelRequested,
    input: more?.input,
    output: more?.output,
    failure: more?.failure,
    priority: row.priority,
    version: row.version,
    stepsCompleted: Math.max(row.stepsCompleted, durable?.stepsCompleted ?? 0),
    lastSeq: Math.max(row.lastSeq, durable?.lastSeq ?? 0),
    epoch: row.epoch,
    workerId: row.workerId,
    createdAtMs: row.createdAtMs,
    updatedAtMs: Math.max(row.updatedAtMs, durable?.updatedAtMs ?? 0),
    startedAtMs: row.startedAtMs,
    closedAtMs: row.closedAtMs,
    availableAtMs: row.availableAtMs,
    timeoutAtMs: row.timeoutAtMs,
  };
}

/** The events that close a run, with what they make of it. */
const ends: { readonly [type in RunEvent["type"]]?: RunStatus } = {
  RunCompleted: "COMPLETED",
  RunFailed: "FAILED",
  RunCancelled: "CANCELLED",
  RunTerminated: "TERMINATED",
};

/**
 * The whole view, with input and result read from the history. A row has no CRC: that it says the end of the history,
 * and no other, is looked at here. Throws CorruptRowError.
 */
export function readView(kernel: Kernel, ref: RunRef): RunView | undefined {
  const row = kernel.store.findRun(ref.namespace, ref.runId);
  if (row === undefined) return undefined;
  if (row.pauseReason === "CORRUPT_HISTORY") return viewOf(kernel, row);
  const [created] = kernel.store.readEvents(row.runNo, oneAt(1));
  const input = created?.payload;
  const [last] = row.lastSeq === 1 ? [created] : kernel.store.readEvents(row.runNo, oneAt(row.lastSeq));
  const end = last === undefined ? undefined : ends[last.type];
  if (end !== (finalStatuses.has(row.status) ? row.status : undefined)) {
    throw new CorruptRowError(row.runNo, row.lastSeq, `its row says ${row.status}, the event is ${last?.type}`);
  }
  if (last?.type === "RunCompleted") return viewOf(kernel, row, { input, output: last.payload });
  if (last?.type === "RunFailed") return viewOf(kernel, row, { input, failure: last.detail.failure });
  return viewOf(kernel, row, { input });
}
