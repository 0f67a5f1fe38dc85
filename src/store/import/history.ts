import { serverKey } from "../../core/decision.ts";
import type { LeaseEndReason, RunEvent } from "../../core/event.ts";
import type { RunState } from "../../core/state.ts";
import { durationMsMax, leaseTtlMsDefault } from "../../limits.ts";
import { createHistoryWriter, type HistoryWriter } from "./history-writer.ts";
import type { SeedRun } from "./seed-file.ts";
import type { SeedEvent, SeedSignal, SeedStep } from "./seed-tables.ts";
import { fieldsOf, payloadOf, stepKeyOf, textOf } from "./seed-values.ts";

// From the rows of one workflow of the seed to a history of ours that says the same. The seed's events give the order;
// its other tables give what the events do not hold: inputs, outputs, what was consumed, what is still pending.
//
// - A WORKFLOW_STARTED begins a lease. The seed says nothing of its end, so it ends where the next one begins.
// - Steps, signals and timers without an event follow behind the events; timers, of which the seed writes no event when
//   they are set, are set where they fire, or at the end.
// - The end of a workflow is the last event, also when the seed wrote others behind it.
// - A failure behind a completion does not count here, nor a second completion: the first writer wins.
// - The status comes last: no lease goes on, RUNNING becomes QUEUED, WAITING waits for the next signal or timer.

export interface HistoryOptions {
  readonly runNo: number;
  readonly namespace: string;
  readonly queue: string;
  readonly nowMs: number;
  readonly newLeaseId: () => string;
  /** Told what could not be carried as it was. */
  readonly onLoss: (message: string) => void;
}

export interface History {
  readonly state: RunState;
  readonly events: readonly RunEvent[];
}

export function historyOf(run: SeedRun, options: HistoryOptions): History {
  const { workflow } = run;
  const { runNo, namespace, queue } = options;
  const writer = createHistoryWriter({ runNo, namespace, runId: workflow.workflow_id }, options.nowMs);
  const part = { run, options, writer };
  const createdAtMs = writer.instant(workflow.created_at);
  writer.add("RunCreated", createdAtMs, { workflow: workflow.workflow_type, queue });
  const leases = createLeases(part);
  const steps = createSteps(part);
  const signals = createSignals(part);
  const timers = createTimers(part);
  for (const event of run.events) {
    const { event_type: type } = event;
    if (type === "WORKFLOW_STARTED") leases.grant(event);
    else if (type === "STEP_STARTED" || type === "STEP_COMPLETED" || type === "STEP_FAILED") steps.event(event);
    else if (type === "SIGNAL_RECEIVED") signals.received(event);
    else if (type === "TIMER_FIRED") timers.fired(event);
    else if (!endTypes.has(type) && type !== "WORKFLOW_CREATED") {
      options.onLoss(`an event of the unknown type ${JSON.stringify(type)}`);
    }
  }
  steps.rest();
  signals.rest();
  timers.rest();
  settle(part, leases);
  if (writer.state.stepsCompleted !== workflow.current_step) {
    options.onLoss(
      `current_step says ${workflow.current_step}, but ${writer.state.stepsCompleted} steps are completed`,
    );
  }
  return writer;
}

interface Part {
  readonly run: SeedRun;
  readonly options: HistoryOptions;
  readonly writer: HistoryWriter;
}

const endTypes: ReadonlySet<string> = new Set(["WORKFLOW_COMPLETED", "WORKFLOW_FAILED"]);

interface Leases {
  grant(event: SeedEvent): void;
  end(reason: LeaseEndReason, atMs: number): void;
}

function createLeases({ options, writer }: Part): Leases {
  const { state } = writer;
  const leases: Leases = {
    grant(event) {
      const atMs = writer.instant(event.created_at);
      leases.end("RELEASED", atMs);
      const { worker_id: worker } = fieldsOf(event.payload_json);
      const workerId = typeof worker === "string" ? worker : "";
      const detail = { leaseId: options.newLeaseId(), ttlMs: leaseTtlMsDefault, workerId };
      writer.add("LeaseGranted", atMs, detail, { epoch: state.epoch + 1 });
    },
    end(reason, atMs) {
      if (state.lease === undefined) return;
      // Its place in the line is that of its creation, as the seed has it; and it is not to blame for old deliveries.
      const requeued = reason === "RELEASED" || reason === "RESTART";
      const more = requeued ? { uncounted: true, availableAtMs: state.createdAtMs } : {};
      writer.add("LeaseEnded", atMs, { reason, ...more });
    },
  };
  return leases;
}

function createSteps({ run, options, writer }: Part) {
  const { state } = writer;
  const rows = new Map<string, SeedStep>();
  const lastStarts = new Map<string, SeedEvent>();
  for (const row of run.steps) {
    const key = stepKeyOf(row.step_number);
    if (key === undefined) options.onLoss(`a step whose number is ${JSON.stringify(row.step_number)}`);
    else rows.set(key, row);
  }
  for (const event of run.events) {
    const key = keyOf(event);
    if (event.event_type === "STEP_STARTED" && key !== undefined) lastStarts.set(key, event);
  }

  function keyOf(event: SeedEvent): string | undefined {
    const fields = fieldsOf(event.payload_json);
    return stepKeyOf(fields.step_number ?? fields.step);
  }
  function payload(what: string, key: string, text: SeedStep["input_json"]) {
    const read = payloadOf(text);
    if (!read.isJson) options.onLoss(`the ${what} of step ${key} is not JSON: it is carried as bytes`);
    return read.payload;
  }
  function startedAtMs(key: string, atMs: number): number {
    const seconds = rows.get(key)?.started_at ?? null;
    if (seconds !== null) return Math.min(Math.max(1, Math.round(seconds * 1_000)), atMs);
    return state.steps.get(key)?.startedAtMs || atMs;
  }
  /** The row of a step says what its last start said. */
  function start(key: string, atMs: number, isLast: boolean): void {
    const row = rows.get(key);
    const attempt = (state.steps.get(key)?.failedAttempt ?? 0) + 1;
    const input = isLast && row !== undefined ? payload("input", key, row.input_json) : undefined;
    const more = { stepKey: key, startedAtMs: isLast ? startedAtMs(key, atMs) : atMs, payload: input };
    writer.add("StepStarted", atMs, { attempt }, more);
  }
  function complete(key: string, atMs: number): void {
    const row = rows.get(key);
    // A completion has no room for an input: without a start that could hold it, one comes with it.
    if (!lastStarts.has(key) && textOf(row?.input_json ?? null) !== null) start(key, startedAtMs(key, atMs), true);
    const attempt = (state.steps.get(key)?.failedAttempt ?? 0) + 1;
    const output = row === undefined ? undefined : payload("output", key, row.output_json);
    const more = { stepKey: key, startedAtMs: startedAtMs(key, atMs), payload: output };
    writer.add("StepCompleted", atMs, attempt === 1 ? undefined : { attempt }, more);
  }
  function fail(key: string, atMs: number, error: unknown): void {
    const attempt = (state.steps.get(key)?.failedAttempt ?? 0) + 1;
    const message = typeof error === "string" ? error : "the step failed";
    const row = rows.get(key);
    const details = row?.status === "FAILED" ? payload("output", key, row.output_json) : undefined;
    const failure = { type: "Error", message, ...(details === undefined ? {} : { details }) };
    const more = { stepKey: key, startedAtMs: startedAtMs(key, atMs) };
    writer.add("StepAttemptFailed", atMs, { attempt, failure, retryAtMs: atMs }, more);
  }
  function isCompleted(key: string): boolean {
    return state.steps.get(key)?.status === "completed";
  }

  return {
    event(event: SeedEvent): void {
      const key = keyOf(event);
      if (key === undefined) return options.onLoss(`an event ${event.event_type} that names no step number`);
      const atMs = writer.instant(event.created_at);
      if (isCompleted(key)) return options.onLoss(`${event.event_type} of step ${key} behind its completion`);
      if (event.event_type === "STEP_STARTED") start(key, atMs, lastStarts.get(key) === event);
      else if (event.event_type === "STEP_COMPLETED") complete(key, atMs);
      else fail(key, atMs, fieldsOf(event.payload_json).error);
    },
    /** What the table of steps says and no event did. */
    rest(): void {
      for (const [key, row] of rows) {
        const step = state.steps.get(key);
        if (row.status === "COMPLETED" && !isCompleted(key)) complete(key, writer.instant(row.completed_at));
        else if (row.status === "FAILED" && step === undefined) fail(key, writer.instant(row.completed_at), undefined);
        else if (row.status === "RUNNING" && step === undefined) start(key, writer.instant(row.started_at), true);
        else if (row.status === "FAILED" && step?.status === "completed") {
          options.onLoss(`step ${key} is FAILED in the seed, but it was completed before: its completion stays`);
        }
      }
    },
  };
}

function createSignals({ run, options, writer }: Part) {
  const waiting = [...run.signals];
  const consumed: { seq: number; name: string }[] = [];

  function receive(signal: SeedSignal, atMs: number): void {
    const { signal_type: name } = signal;
    const { payload, isJson } = payloadOf(signal.payload_json);
    if (!isJson) options.onLoss(`the payload of signal ${signal.signal_id} is not JSON: it is carried as bytes`);
    const { seq } = writer.add("SignalReceived", atMs, { name }, { epoch: 0, payload });
    if (signal.consumed) consumed.push({ seq, name });
  }

  return {
    received(event: SeedEvent): void {
      const signal = takeNamed(waiting, event, "signal_id");
      if (signal !== undefined) receive(signal, writer.instant(event.created_at));
      else options.onLoss("an event SIGNAL_RECEIVED whose signal is not in the table of signals");
    },
    rest(): void {
      for (const signal of waiting) receive(signal, writer.instant(signal.created_at));
      for (const { seq, name } of consumed) {
        const atMs = writer.instant(null);
        writer.add("SignalConsumed", atMs, { signalSeq: seq, name }, { stepKey: serverKey(seq) });
      }
    },
  };
}

function createTimers({ run, options, writer }: Part) {
  const { state } = writer;
  const fired = run.timers.filter((timer) => timer.fired);

  function set(wakeAt: number, atMs: number): string {
    const stepKey = serverKey(state.lastSeq + 1);
    const firesAtMs = Math.min(Math.max(1, Math.round(wakeAt * 1_000)), options.nowMs + durationMsMax);
    writer.add("TimerSet", atMs, { firesAtMs }, { epoch: 0, stepKey });
    return stepKey;
  }
  function fire(wakeAt: number, atMs: number): void {
    const stepKey = set(wakeAt, atMs);
    writer.add("TimerFired", atMs, undefined, { epoch: 0, stepKey });
  }

  return {
    fired(event: SeedEvent): void {
      const timer = takeNamed(fired, event, "timer_id");
      fire(timer?.wake_at ?? event.created_at, writer.instant(event.created_at));
    },
    rest(): void {
      for (const timer of fired) fire(timer.wake_at, writer.instant(timer.wake_at));
      for (const timer of run.timers) if (!timer.fired) set(timer.wake_at, writer.instant(null));
    },
  };
}

/** Takes the row that the event names, or else the first: both are in the order in which they came about. */
function takeNamed<K extends "signal_id" | "timer_id", T extends { readonly [key in K]: SeedSignal["signal_id"] }>(
  rows: T[],
  event: SeedEvent,
  idName: K,
): T | undefined {
  const id = fieldsOf(event.payload_json)[idName];
  const named = id === undefined ? -1 : rows.findIndex((row) => row[idName] === id);
  return rows.splice(Math.max(named, 0), 1)[0];
}

/** From the state that the events left to the one that the workflow's row says. */
function settle({ run, options, writer }: Part, leases: Leases): void {
  const { workflow } = run;
  const { state } = writer;
  const ends = run.events.filter(({ event_type }) => endTypes.has(event_type));
  const isEnded = workflow.status === "COMPLETED" || workflow.status === "FAILED";
  if (ends.length > (isEnded ? 1 : 0)) {
    options.onLoss(`${ends.length} events of an end, but the workflow is ${workflow.status}`);
  }
  const atMs = writer.instant(isEnded ? workflow.completed_at : workflow.updated_at);
  if (workflow.status === "QUEUED") return leases.end("RELEASED", atMs);
  if (workflow.status === "RUNNING") return leases.end("RESTART", atMs);
  if (workflow.status === "WAITING") {
    writer.add("RunSuspended", atMs, { awaits: [{ kind: "any" }] });
    if (state.status !== "WAITING") options.onLoss("it was WAITING for what has come meanwhile: it is QUEUED");
    return leases.end("SUSPENDED", atMs);
  }
  leases.end("DONE", atMs);
  if (workflow.status === "COMPLETED") {
    writer.add("RunCompleted", atMs, undefined, { epoch: state.epoch });
    return;
  }
  const error = fieldsOf(ends.at(-1)?.payload_json ?? null).error;
  const message = typeof error === "string" ? error : "the workflow failed";
  writer.add("RunFailed", atMs, { failure: { type: "Error", message } }, { epoch: state.epoch });
}
