import { randomBytes } from "node:crypto";
import SqliteDatabase from "better-sqlite3";
import { expect } from "vitest";
import type { RunEvent } from "../../src/core/event.ts";
import { type Imported, importSeed } from "../../src/store/import/import.ts";
import { openSeedFile, type SeedFile, type SeedRun } from "../../src/store/import/seed-file.ts";
import { type ImportTarget, openTarget } from "../../src/store/import/target.ts";
import { prepareDecisionReads } from "../../src/store/sqlite/statements.ts";
import { verifyFile } from "../../src/store/sqlite/verify.ts";
import { kindOf, type SeedKind } from "./seed-database.ts";

export interface Done {
  imported: Imported;
  losses: { workflowId: string; message: string }[];
}

export async function importInto(from: string, to: string | ImportTarget, nowMs = Date.now()): Promise<Done> {
  const target = typeof to === "string" ? await openTarget(to) : to;
  const losses: Done["losses"] = [];
  let file: SeedFile | undefined;
  try {
    file = openSeedFile(from);
    const imported = await importSeed({
      file,
      target,
      namespace: "default",
      queue: "default",
      nowMs,
      newLeaseId: () => randomBytes(16).toString("hex"),
      onLoss: (loss) => losses.push(loss),
    });
    return { imported, losses };
  } finally {
    file?.close();
    await target.close();
  }
}

export async function expectVerified(path: string, runs: number): Promise<void> {
  const problems: string[] = [];
  const verified = await verifyFile(path, { onProblem: ({ runId, message }) => problems.push(`${runId}: ${message}`) });
  expect(problems).toEqual([]);
  expect(verified.runs).toBe(runs);
}

const statuses: Readonly<Record<SeedKind, string>> = {
  fresh: "QUEUED",
  running: "QUEUED",
  "backing off": "WAITING",
  "waiting for a signal": "WAITING",
  completed: "COMPLETED",
  failed: "FAILED",
  "queued again": "QUEUED",
  "signalled while waiting": "QUEUED",
};

const types: Partial<Record<RunEvent["type"], string>> = {
  RunCreated: "WORKFLOW_CREATED",
  LeaseGranted: "WORKFLOW_STARTED",
  StepStarted: "STEP_STARTED",
  StepCompleted: "STEP_COMPLETED",
  StepAttemptFailed: "STEP_FAILED",
  SignalReceived: "SIGNAL_RECEIVED",
  TimerFired: "TIMER_FIRED",
  RunCompleted: "WORKFLOW_COMPLETED",
  RunFailed: "WORKFLOW_FAILED",
};

/** Row by row, what the two files say of the workflows that `buildSeedDatabase` made. */
export function expectEqualFiles(from: string, path: string): number {
  const seed = openSeedFile(from);
  const ours = new SqliteDatabase(path, { readonly: true });
  try {
    const reads = prepareDecisionReads(ours);
    let number = 0;
    for (const run of seed.runs()) {
      const { workflow } = run;
      const row = reads.findRun("default", workflow.workflow_id);
      if (row === undefined) throw new Error(`${workflow.workflow_id} is missing`);
      const ended = workflow.completed_at === null ? 0 : 1;
      expect({
        workflow: row.workflow,
        status: row.status,
        stepsCompleted: row.stepsCompleted,
        createdAtMs: row.createdAtMs,
        closedAtMs: row.closedAtMs,
        version: 1 + row.epoch + row.stepsCompleted + ended,
        workerId: row.workerId,
      }).toEqual({
        workflow: workflow.workflow_type,
        status: statuses[kindOf(number)],
        stepsCompleted: workflow.current_step,
        createdAtMs: workflow.created_at * 1_000,
        closedAtMs: (workflow.completed_at ?? 0) * 1_000,
        version: (workflow as { version?: number }).version,
        workerId: "",
      });
      const events = reads.readEvents(row.runNo, { afterSeq: 0, limit: 1_000, bytesMax: 1e9, throughSeq: 0 });
      expectEqualHistories(run, events);
      number += 1;
    }
    return number;
  } finally {
    ours.close();
    seed.close();
  }
}

function expectEqualHistories(run: SeedRun, events: readonly RunEvent[]): void {
  const shown = events.filter(({ type }) => types[type] !== undefined);
  expect(shown.map(({ type }) => types[type])).toEqual(run.events.map(({ event_type }) => event_type));
  expect(shown.map(({ atMs }) => atMs / 1_000)).toEqual(run.events.map(({ created_at }) => created_at));
  for (const step of run.steps) {
    const own = events.filter(({ stepKey }) => stepKey === String(step.step_number));
    const input = own.filter(({ type }) => type === "StepStarted").at(-1)?.payload?.data;
    const completed = own.find(({ type }) => type === "StepCompleted");
    expect(input).toBe(step.input_json);
    expect(completed?.payload?.data ?? null).toBe(step.output_json);
    if (step.status !== "COMPLETED") continue;
    expect([completed!.startedAtMs / 1_000, completed!.atMs / 1_000]).toEqual([step.started_at, step.completed_at]);
  }
  const consumed = new Set(
    events.flatMap((event) => (event.type === "SignalConsumed" ? [event.detail.signalSeq] : [])),
  );
  const signals = events.flatMap((event) =>
    event.type === "SignalReceived" ? [[event.detail.name, event.payload?.data, consumed.has(event.seq)]] : [],
  );
  expect(signals).toEqual(
    run.signals.map((signal) => [signal.signal_type, signal.payload_json, signal.consumed === 1]),
  );
  const fired = new Set(events.flatMap((event) => (event.type === "TimerFired" ? [event.stepKey] : [])));
  const timers = events.flatMap((event) =>
    event.type === "TimerSet" ? [[event.detail.firesAtMs / 1_000, fired.has(event.stepKey)]] : [],
  );
  expect(timers).toEqual(run.timers.map((timer) => [timer.wake_at, timer.fired === 1]));
}
