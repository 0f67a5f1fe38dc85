import { emptyMap } from "./sparse-map.ts";
import type { RunState, StepState } from "./state.ts";

const none: readonly never[] = [];

/** A run of which nothing is known yet: what the first event is folded into. */
export function createState(identity: { runNo: number; namespace: string; runId: string }): RunState {
  return {
    runNo: identity.runNo,
    namespace: identity.namespace,
    runId: identity.runId,
    workflow: "",
    queue: "",
    runKey: "",
    priority: 5,
    requestId: "",
    status: "QUEUED",
    pauseReason: undefined,
    version: 0,
    lastSeq: 0,
    historyBytes: 0,
    stepsCompleted: 0,
    createdAtMs: 0,
    updatedAtMs: 0,
    startedAtMs: 0,
    closedAtMs: 0,
    availableAtMs: 0,
    timeoutAtMs: 0,
    runTimeoutMs: 0,
    epoch: 0,
    lease: undefined,
    lastLeaseId: "",
    grantedSeq: 0,
    timerFiredSeq: 0,
    deliveries: 0,
    expiries: 0,
    steps: emptyMap(),
    pendingStarts: emptyMap(),
    timers: emptyMap(),
    signals: none,
    reservedSignals: none,
    signalRequests: emptyMap(),
    retryRequests: emptyMap(),
    ops: emptyMap(),
    lastOpId: 0,
    cancel: undefined,
    pauseDeadlineAtMs: 0,
    pauseText: "",
    awaits: none,
    failure: undefined,
    failedSteps: none,
  };
}

/** A step of which nothing is known yet. */
export const freshStep: StepState = {
  kind: "function",
  status: "running",
  attempt: 0,
  failedAttempt: 0,
  firstStartedAtMs: 0,
  startedAtMs: 0,
  retryAtMs: 0,
  atMostOnce: false,
  timeoutAtMs: 0,
  retryPolicy: undefined,
  seq: 0,
  signalName: "",
  signalSeq: 0,
};
