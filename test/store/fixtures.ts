import { newEvent } from "../../src/core/decision.ts";
import type { EventDetails, EventTypeName, RunEvent } from "../../src/core/event.ts";
import { createState } from "../../src/core/new-state.ts";
import { evolve } from "../../src/core/evolve.ts";
import { deadlinesOf, rankOf } from "../../src/core/rows.ts";
import { finalStatuses, type RunState } from "../../src/core/state.ts";
import type { Batch, RunRow, Store } from "../../src/store/store.ts";

export const startMs = 1_800_000_000_000;

export function rowOf(runNo: number, more: Partial<RunRow> = {}): RunRow {
  return {
    runNo,
    namespace: "default",
    runId: `run-${runNo}`,
    workflow: "order",
    queue: "main",
    runKey: "",
    status: "QUEUED",
    pauseReason: undefined,
    cancelRequested: false,
    priority: 5,
    version: 1,
    stepsCompleted: 0,
    lastSeq: 1,
    epoch: 0,
    workerId: "",
    createdAtMs: startMs,
    updatedAtMs: startMs,
    startedAtMs: 0,
    closedAtMs: 0,
    availableAtMs: startMs,
    timeoutAtMs: 0,
    rank: undefined,
    commitNo: 0,
    ...more,
  };
}

export function created(seq = 1): RunEvent {
  return newEvent("RunCreated", seq, startMs, { workflow: "order", queue: "main" });
}

export function completed(seq: number, stepKey: string, more: Parameters<typeof newEvent>[4] = {}): RunEvent {
  return newEvent("StepCompleted", seq, startMs + 10, undefined, { stepKey, startedAtMs: startMs, ...more });
}

/** No event is newer than what a commit says of the time. */
function newestOf(events: readonly RunEvent[], atMs: number): number {
  return Math.max(atMs, ...events.map((event) => event.atMs));
}

/** Numbers the commits of one store. */
export function committer(store: Store) {
  let { commitNo } = store.readMeta();
  return async (batch: Partial<Batch>) => {
    const outcome = await store.commit({
      commitNo: commitNo + 1,
      newestAtMs: newestOf(batch.events?.map(({ event }) => event) ?? [], startMs + commitNo + 1),
      events: [],
      runs: [],
      deadlines: [],
      ...batch,
    });
    if (outcome.kind === "durable") commitNo += 1;
    return outcome;
  };
}

export interface Recorded {
  readonly state: RunState;
  /** Adds an event to the next commit. */
  add<T extends EventTypeName>(type: T, detail: EventDetails[T], more?: Parameters<typeof newEvent>[4]): void;
  /** Commits what was added, with the row and the deadlines that follow from it, as the engine does. */
  commit(): Promise<void>;
}

/** A run whose rows are those that its history says, as verify demands. */
export function recordRun(store: Store, runNo: number): Recorded {
  const state = createState({ runNo, namespace: "default", runId: `run-${runNo}` });
  let events: RunEvent[] = [];
  return {
    state,
    add(type, detail, more) {
      const event = newEvent(type, state.lastSeq + 1, startMs + state.lastSeq + 1, detail, more);
      evolve(state, event);
      events.push(event);
    },
    async commit() {
      const inLine = state.status === "QUEUED";
      const before = store.readDeadlines(runNo);
      const { commitNo, newestAtMs } = store.readMeta();
      const outcome = await store.commit({
        commitNo: commitNo + 1,
        newestAtMs: newestOf(events, newestAtMs + 1),
        events: events.map((event) => ({ runNo, event })),
        runs: [
          {
            ...rowOf(runNo),
            ...pick(state),
            cancelRequested: state.cancel !== undefined && !finalStatuses.has(state.status),
            workerId: state.lease?.workerId ?? "",
            rank: inLine ? rankOf(state) : undefined,
          },
        ],
        deadlines: [
          ...before.map(({ kind, stepKey }) => ({ op: "delete" as const, runNo, kind, stepKey })),
          ...deadlinesOf(state, inLine).map((deadline) => ({ op: "put" as const, runNo, ...deadline })),
        ],
      });
      if (outcome.kind !== "durable") throw new Error(outcome.message);
      events = [];
    },
  };
}

function pick(state: RunState) {
  const { workflow, queue, runKey, status, pauseReason, priority, version, stepsCompleted, lastSeq, epoch } = state;
  const { createdAtMs, updatedAtMs, startedAtMs, closedAtMs, availableAtMs, timeoutAtMs } = state;
  const times = { createdAtMs, updatedAtMs, startedAtMs, closedAtMs, availableAtMs, timeoutAtMs };
  return {
    workflow,
    queue,
    runKey,
    status,
    pauseReason,
    priority,
    version,
    stepsCompleted,
    lastSeq,
    epoch,
    ...times,
  };
}

/** One of each type, with every kind of payload and detail among them. */
export function everyEvent(): RunEvent[] {
  const failure = {
    type: "Declined",
    message: 'no "money" \u0000 \u{1f4b8}',
    stack: "at x\nat y",
    details: { data: new Uint8Array([0, 1, 255]), encoding: "json/zstd" },
    cause: { type: "Inner", message: "", details: { data: '{"a":1}', encoding: "" }, nonRetryable: true },
    retryAfterMs: 5,
  };
  let seq = 0;
  const at = <T extends EventTypeName>(type: T, detail: EventDetails[T], more: Parameters<typeof newEvent>[4] = {}) => {
    seq += 1;
    return newEvent(type, seq, startMs + seq, detail, more);
  };
  const big = Number.MAX_SAFE_INTEGER;
  return [
    at(
      "RunCreated",
      { workflow: "order", queue: "main", runKey: "k", priority: 0, availableAtMs: 1, timeoutAtMs: 2, requestId: "r" },
      { payload: { data: '{"input": "\u00e4\u20ac\u{1f600}\u0000"}', encoding: "" } },
    ),
    at("LeaseGranted", { leaseId: "0".repeat(32), ttlMs: 30_000, workerId: "w", instanceId: "i" }, { epoch: 1 }),
    at("LeaseExtended", { ttlMs: 60_000 }, { epoch: 1 }),
    at(
      "StepStarted",
      { attempt: 1, atMostOnce: true, timeoutMs: 5, retryPolicy: { backoff: "listed", factor: 1.5, delaysMs: [1, 2] } },
      { epoch: 1, opId: 1, opDigest: big, stepKey: "a", startedAtMs: startMs, payload: { data: "", encoding: "" } },
    ),
    at("StepAttemptFailed", { attempt: 1, failure, retryAtMs: startMs }, { epoch: 1, opId: 2, stepKey: "a" }),
    at("StepCompleted", { attempt: 2 }, { stepKey: "a", payload: { data: new Uint8Array(0), encoding: "" } }),
    at("StepCompleted", undefined, { stepKey: "b", payload: { data: new Uint8Array([0, 200, 7]), encoding: "x/y" } }),
    at("StepCompleted", undefined, { stepKey: "c", payload: { data: "null", encoding: "json/zstd" } }),
    at("StepFailed", { attempt: 3, failure }, { stepKey: "d" }),
    at("TimerSet", { firesAtMs: startMs, signalName: "go" }, { stepKey: "t" }),
    at("TimerFired", undefined, { stepKey: "t" }),
    at("TimerCancelled", undefined, { stepKey: "u" }),
    at("SignalReceived", { name: "go", requestId: "q" }, { payload: { data: "[]", encoding: "" } }),
    at("SignalConsumed", { signalSeq: 13, name: "go" }, { stepKey: "s" }),
    at("RunSuspended", {
      awaits: [
        { kind: "timer", stepKey: "t" },
        { kind: "signal", name: "go" },
      ],
    }),
    at("RetryDue", undefined, { stepKey: "a" }),
    at("CancelRequested", { reason: "why", graceMs: 1, deadlineAtMs: startMs }),
    at("CancelDelivered", { deadlineAtMs: startMs }),
    at("PauseRequested", { deadlineAtMs: startMs }),
    at("RunPaused", { reason: "DELIVERY_BUDGET", text: "t" }),
    at("RunResumed", undefined),
    at("LeaseEnded", { reason: "EXPIRED", uncounted: true, availableAtMs: startMs }),
    at("RunCompleted", undefined, { payload: { data: "1".repeat(300_000), encoding: "" } }),
    at("RunReopened", { voidedSteps: ["d"], timeoutAtMs: 1, reason: "r", requestId: "q" }),
    at("RunFailed", { failure, failedSteps: ["d"] }),
    at("RunCancelled", { reason: "c" }),
    at("RunTerminated", {}, { payload: { data: new Uint8Array(100_000).fill(7), encoding: "" } }),
  ];
}
