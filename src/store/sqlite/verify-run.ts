import { type RunEvent, resultTypes } from "../../core/event.ts";
import { createState } from "../../core/new-state.ts";
import { evolve } from "../../core/evolve.ts";
import { deadlinesOf, rankOf } from "../../core/rows.ts";
import { finalStatuses, type RunState } from "../../core/state.ts";
import type { DeadlineRow, RunRow } from "../store.ts";

// One run, recomputed from its events and compared with its rows. The row of a leased run is written when the status
// changes, so it says what the history up to its last_seq says; events behind that must not change the status. Deadlines are written
// with every event, so they say what the whole history says.

export type Report = (seq: number, message: string) => void;

export interface RunCheck {
  /** In order of seq. */
  event(event: RunEvent): void;
  /** A row that cannot be read: what follows cannot be folded. */
  unreadable(seq: number, message: string): void;
  end(deadlines: readonly DeadlineRow[]): void;
}

export function createRunCheck(row: RunRow, report: Report): RunCheck {
  const state = createState(row);
  const keys = createKeyCheck(report);
  let lastSeq = 0;
  let broken = false;

  function follow(seq: number): void {
    if (seq !== lastSeq + 1) {
      report(lastSeq + 1, seq === lastSeq + 2 ? "the event is missing" : `the events up to ${seq - 1} are missing`);
      broken = true;
    }
    lastSeq = seq;
  }

  return {
    event(event) {
      follow(event.seq);
      keys.event(event);
      if (broken) return;
      if (event.seq === 1 && event.type !== "RunCreated") report(1, `the history begins with ${event.type}`);
      try {
        evolve(state, event);
      } catch (error) {
        report(event.seq, `the event cannot be folded: ${String(error)}`);
        broken = true;
      }
      if (event.seq === row.lastSeq && !broken) compareRow(row, state, report);
    },
    unreadable(seq, message) {
      follow(seq);
      report(seq, message);
      broken = true;
    },
    end(deadlines) {
      if (lastSeq < row.lastSeq) {
        report(lastSeq + 1, `the event is missing: the run row says that the history goes to seq ${row.lastSeq}`);
        return;
      }
      if (broken) return;
      if (lastSeq > row.lastSeq) compareTail(row, state, report);
      compareDeadlines(row, state, deadlines, report);
    },
  };
}

/** At most one result for each key, and none behind a failure unless a retry of the run voided it. */
function createKeyCheck(report: Report): { event(event: RunEvent): void } {
  const results = new Map<string, number>();
  const failures = new Map<string, number>();
  return {
    event(event) {
      const { seq, stepKey } = event;
      if (event.type === "RunReopened") for (const key of event.detail.voidedSteps) failures.delete(key);
      if (event.type !== "StepFailed" && !resultTypes.has(event.type)) return;
      const failed = failures.get(stepKey);
      const result = results.get(stepKey);
      if (failed !== undefined) report(seq, `${event.type} of step "${stepKey}", which failed at seq ${failed}`);
      if (result !== undefined)
        report(seq, `${event.type} of step "${stepKey}", which has its result at seq ${result}`);
      (event.type === "StepFailed" ? failures : results).set(stepKey, seq);
    },
  };
}

function compareRow(row: RunRow, state: RunState, report: Report): void {
  const expected: Omit<RunRow, "commitNo" | "rank" | "runNo" | "namespace" | "runId"> = {
    workflow: state.workflow,
    queue: state.queue,
    runKey: state.runKey,
    status: state.status,
    pauseReason: state.pauseReason,
    cancelRequested: cancelRequested(state),
    priority: state.priority,
    version: state.version,
    stepsCompleted: state.stepsCompleted,
    lastSeq: state.lastSeq,
    epoch: state.epoch,
    workerId: state.lease?.workerId ?? "",
    createdAtMs: state.createdAtMs,
    updatedAtMs: state.updatedAtMs,
    startedAtMs: state.startedAtMs,
    closedAtMs: state.closedAtMs,
    availableAtMs: state.availableAtMs,
    timeoutAtMs: state.timeoutAtMs,
  };
  for (const [column, value] of Object.entries(expected)) {
    const found = row[column as keyof typeof expected];
    if (found !== value) report(row.lastSeq, `the run row says ${column} ${show(found)}, its history ${show(value)}`);
  }
  if (row.rank === undefined) return;
  if (state.status !== "QUEUED") report(row.lastSeq, `the run row has a rank although the run is ${state.status}`);
  else if (row.rank !== rankOf(state)) {
    report(row.lastSeq, `the run row says rank ${row.rank}, its history ${rankOf(state)}`);
  }
}

function compareTail(row: RunRow, state: RunState, report: Report): void {
  if (finalStatuses.has(row.status)) {
    report(row.lastSeq + 1, `an event behind the end of a run that is ${row.status}`);
  } else if (
    state.lease === undefined ||
    state.version !== row.version ||
    cancelRequested(state) !== row.cancelRequested
  ) {
    report(
      state.lastSeq,
      `the run row is old: it says ${row.status} as of seq ${row.lastSeq}, its history ${state.status}`,
    );
  }
}

function cancelRequested(state: RunState): boolean {
  return state.cancel !== undefined && !finalStatuses.has(state.status);
}

function compareDeadlines(row: RunRow, state: RunState, found: readonly DeadlineRow[], report: Report): void {
  const { lastSeq } = state;
  const expected = new Map<string, number>();
  for (const deadline of deadlinesOf(state, row.rank !== undefined)) expected.set(nameOf(deadline), deadline.dueAtMs);
  for (const deadline of found) {
    const name = nameOf(deadline);
    const dueAtMs = expected.get(name);
    expected.delete(name);
    if (dueAtMs === undefined) report(lastSeq, `${name} is in the file, but not in the history`);
    else if (dueAtMs !== deadline.dueAtMs) {
      report(lastSeq, `${name} is due at ${deadline.dueAtMs} in the file, at ${dueAtMs} in the history`);
    }
  }
  for (const name of expected.keys()) report(lastSeq, `${name} is missing`);
}

function nameOf({ kind, stepKey }: { kind: string; stepKey: string }): string {
  return stepKey === "" ? `the ${kind} deadline` : `the ${kind} deadline of step "${stepKey}"`;
}

function show(value: unknown): string {
  return value === undefined ? "none" : JSON.stringify(value);
}
