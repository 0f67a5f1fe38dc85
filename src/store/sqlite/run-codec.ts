import type { PauseReason } from "../../core/event.ts";
import type { RunStatus } from "../../core/state.ts";
import type { RunRow } from "../store.ts";

// The numbers are in files: append, never renumber. The partial indexes rely on 2 and on "below 5 is open".
const statusCodes: Record<RunStatus, number> = {
  QUEUED: 1,
  RUNNING: 2,
  WAITING: 3,
  PAUSED: 4,
  COMPLETED: 5,
  FAILED: 6,
  CANCELLED: 7,
  TERMINATED: 8,
};
const pauseReasonCodes: Record<PauseReason, number> = {
  REQUESTED: 1,
  DELIVERY_BUDGET: 2,
  UNCERTAIN_EFFECT: 3,
  CORRUPT_HISTORY: 4,
};
const statuses = invert(statusCodes);
const pauseReasons = invert(pauseReasonCodes);

function invert<T extends string>(codes: Record<T, number>): Map<number, T> {
  return new Map(Object.entries<number>(codes).map(([name, code]) => [code, name as T]));
}

export function statusCode(status: RunStatus): number {
  return statusCodes[status];
}

/** A row has no CRC: a run whose status nobody knows is told as one that was set aside. */
export function statusOf(code: number): RunStatus {
  return statuses.get(code) ?? "PAUSED";
}

const identityColumns = ["run_no", "namespace", "run_id"];
const changingColumns = [
  "workflow",
  "queue",
  "run_key",
  "status",
  "pause_reason",
  "cancel_requested",
  "priority",
  "version",
  "steps_completed",
  "last_seq",
  "epoch",
  "worker_id",
  "created_at_ms",
  "updated_at_ms",
  "started_at_ms",
  "closed_at_ms",
  "available_at_ms",
  "timeout_at_ms",
  "rank",
  "commit_no",
];
const allColumns = [...identityColumns, ...changingColumns];

const statusAt = allColumns.indexOf("status");

export const runColumns = allColumns.join(", ");
export const runColumnCount = allColumns.length;

/**
 * The identity is left out of the update, so that the index over it is not rewritten with every change of status. A row
 * whose number belongs to another run changes nothing, which the writer takes as a broken constraint.
 */
export const upsertRun =
  `INSERT INTO runs (${runColumns}) VALUES (${allColumns.map(() => "?").join(", ")}) ` +
  `ON CONFLICT (run_no) DO UPDATE SET ${changingColumns.map((column) => `${column} = excluded.${column}`).join(", ")} ` +
  "WHERE namespace = excluded.namespace AND run_id = excluded.run_id";

export type RunValue = number | string | null;

/** Appends the columns in order. */
export function pushRun(values: RunValue[], row: RunRow, commitNo: number): void {
  values.push(
    row.runNo,
    row.namespace,
    row.runId,
    row.workflow,
    row.queue,
    row.runKey,
    statusCodes[row.status],
    row.pauseReason === undefined ? 0 : pauseReasonCodes[row.pauseReason],
    row.cancelRequested ? 1 : 0,
    row.priority,
    row.version,
    row.stepsCompleted,
    row.lastSeq,
    row.epoch,
    row.workerId,
    row.createdAtMs,
    row.updatedAtMs,
    row.startedAtMs,
    row.closedAtMs,
    row.availableAtMs,
    row.timeoutAtMs,
    row.rank ?? null,
    commitNo,
  );
}

/** What the columns in order have for a status that there is not; undefined when there is. */
export function unknownStatus(values: readonly unknown[]): string | undefined {
  const code = values[statusAt];
  return statuses.has(code as number) ? undefined : String(code);
}

/** From the columns in order. An unknown status costs its own run only, and neither a list nor the server. */
export function decodeRun(values: readonly unknown[]): RunRow {
  const [runNo, namespace, runId, workflow, queue, runKey] = values as [number, string, string, string, string, string];
  const [status, pauseReason, cancelRequested, priority, version, stepsCompleted, lastSeq, epoch] = values.slice(6) as [
    ...[number, number, number, number, number, number, number, number],
  ];
  const [workerId] = values.slice(14) as [string];
  const [createdAtMs, updatedAtMs, startedAtMs, closedAtMs, availableAtMs, timeoutAtMs, rank, commitNo] = values.slice(
    15,
  ) as [number, number, number, number, number, number, number | null, number];
  return {
    runNo,
    namespace,
    runId,
    workflow,
    queue,
    runKey,
    status: statusOf(status),
    pauseReason: statuses.has(status) ? pauseReasons.get(pauseReason) : "CORRUPT_HISTORY",
    cancelRequested: cancelRequested !== 0,
    priority,
    version,
    stepsCompleted,
    lastSeq,
    epoch,
    workerId,
    createdAtMs,
    updatedAtMs,
    startedAtMs,
    closedAtMs,
    availableAtMs,
    timeoutAtMs,
    rank: rank ?? undefined,
    commitNo,
  };
}
