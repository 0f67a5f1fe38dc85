import type { Failure } from "../core/failure.ts";
import type { Payload } from "../core/payload.ts";
import { finalStatuses } from "../core/state.ts";
import type { RunRow } from "../store/store.ts";
import type { RunRef, RunView } from "./api.ts";
import type { Kernel } from "./kernel.ts";

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

/** The whole view, with input and result read from the history. */
export function readView(kernel: Kernel, ref: RunRef): RunView | undefined {
  const row = kernel.store.findRun(ref.namespace, ref.runId);
  if (row === undefined) return undefined;
  if (row.pauseReason === "CORRUPT_HISTORY") return viewOf(kernel, row);
  const one = { limit: 1, bytesMax: Number.MAX_SAFE_INTEGER };
  const [created] = kernel.store.readEvents(row.runNo, { afterSeq: 0, ...one });
  const input = created?.payload;
  if (!finalStatuses.has(row.status)) return viewOf(kernel, row, { input });
  const [last] = kernel.store.readEvents(row.runNo, { afterSeq: row.lastSeq - 1, ...one });
  if (last?.type === "RunCompleted") return viewOf(kernel, row, { input, output: last.payload });
  if (last?.type === "RunFailed") return viewOf(kernel, row, { input, failure: last.detail.failure });
  return viewOf(kernel, row, { input });
}
