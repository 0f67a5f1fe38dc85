import type { RunEvent } from "../../core/event.ts";
import type { Payload } from "../../core/payload.ts";
import type { RunStatus } from "../../core/state.ts";
import type { Engine, RunView, SignalInfo, StepView } from "../../engine/api.ts";

// Our facts in the seed's shapes: its names, its five statuses, whole Unix seconds, null for what is not there.

type SeedStatus = "QUEUED" | "RUNNING" | "WAITING" | "COMPLETED" | "FAILED";

const seedStatus: Readonly<Record<RunStatus, SeedStatus>> = {
  QUEUED: "QUEUED",
  RUNNING: "RUNNING",
  WAITING: "WAITING",
  PAUSED: "WAITING",
  COMPLETED: "COMPLETED",
  FAILED: "FAILED",
  CANCELLED: "FAILED",
  TERMINATED: "FAILED",
};

export function statusesOf(status: SeedStatus): RunStatus[] {
  return (Object.keys(seedStatus) as RunStatus[]).filter((ours) => seedStatus[ours] === status);
}

export function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}

function secondsOrNull(ms: number): number | null {
  return ms === 0 ? null : seconds(ms);
}

/** Text of the JSON that was given; bytes, which only other interfaces can give, as base64 in a JSON text. */
function jsonOrNull(payload: Payload | undefined): string | null {
  if (payload === undefined) return null;
  const { data } = payload;
  return typeof data === "string" ? data : JSON.stringify(Buffer.from(data).toString("base64"));
}

export function workflowOf(engine: Engine, run: RunView): Record<string, unknown> {
  const leased = run.status === "RUNNING";
  const ended = run.status === "COMPLETED" || run.status === "FAILED" ? 1 : 0;
  return {
    workflow_id: run.runId,
    workflow_type: run.workflow,
    status: seedStatus[run.status],
    current_step: run.stepsCompleted,
    lease_owner: leased ? run.workerId : null,
    lease_expires_at: leased ? secondsOrNull(engine.leaseExpiresAtMs(run.runNo)) : null,
    created_at: seconds(run.createdAtMs),
    updated_at: seconds(run.updatedAtMs),
    completed_at: secondsOrNull(run.closedAtMs),
    // Grows at acquire, step completion, complete and fail; all of them are counted anyway.
    version: 1 + run.epoch + run.stepsCompleted + ended,
  };
}

const seedEventTypes: Partial<Record<RunEvent["type"], string>> = {
  RunCreated: "WORKFLOW_CREATED",
  LeaseGranted: "WORKFLOW_STARTED",
  StepStarted: "STEP_STARTED",
  StepCompleted: "STEP_COMPLETED",
  StepAttemptFailed: "STEP_FAILED",
  StepFailed: "STEP_FAILED",
  SignalReceived: "SIGNAL_RECEIVED",
  TimerFired: "TIMER_FIRED",
  RunCompleted: "WORKFLOW_COMPLETED",
  RunFailed: "WORKFLOW_FAILED",
  RunCancelled: "WORKFLOW_FAILED",
  RunTerminated: "WORKFLOW_FAILED",
};

/** Undefined for what the seed has no event for. `event_id` is our seq, `sequence_number` counts what is shown. */
export function eventOf(workflowId: string, event: RunEvent, shown: number): Record<string, unknown> | undefined {
  const type = seedEventTypes[event.type];
  if (type === undefined) return undefined;
  return {
    event_id: event.seq,
    workflow_id: workflowId,
    event_type: type,
    payload_json: eventPayload(event),
    sequence_number: shown + 1,
    created_at: seconds(event.atMs),
  };
}

function eventPayload(event: RunEvent): string | null {
  switch (event.type) {
    case "StepAttemptFailed":
    case "StepFailed":
    case "RunFailed":
      return JSON.stringify({ error: event.detail.failure.message });
    default:
      return jsonOrNull(event.payload);
  }
}

/** The step's number; undefined when its key is none. */
export function stepNumberOf(stepKey: string): number | undefined {
  const number = Number(stepKey);
  return Number.isSafeInteger(number) && String(number) === stepKey ? number : undefined;
}

export function stepOf(workflowId: string, stepNumber: number, step: StepView): Record<string, unknown> {
  const status = step.status === "running" ? "RUNNING" : step.status === "completed" ? "COMPLETED" : "FAILED";
  return {
    workflow_id: workflowId,
    step_number: stepNumber,
    status,
    input_json: jsonOrNull(step.input),
    output_json: jsonOrNull(step.output),
    started_at: secondsOrNull(step.startedAtMs),
    completed_at: secondsOrNull(step.endedAtMs),
  };
}

export function signalOf(workflowId: string, signal: SignalInfo): Record<string, unknown> {
  return {
    signal_id: signal.seq,
    workflow_id: workflowId,
    signal_type: signal.name,
    payload_json: jsonOrNull(signal.payload),
    consumed: !signal.open,
    created_at: seconds(signal.receivedAtMs),
  };
}
