import type { Await, PauseReason, RetryPolicy } from "./event.ts";
import type { Failure } from "./failure.ts";
import type { Payload } from "./payload.ts";
import type { SparseMap } from "./sparse-map.ts";

export const runStatuses = [
  "QUEUED",
  "RUNNING",
  "WAITING",
  "PAUSED",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
  "TERMINATED",
] as const;
export type RunStatus = (typeof runStatuses)[number];

export const finalStatuses: ReadonlySet<RunStatus> = new Set(["COMPLETED", "FAILED", "CANCELLED", "TERMINATED"]);

/** What core knows of one step key. Payloads are not here: they are read from the history when somebody asks. */
export interface StepState {
  readonly kind: "function" | "sleep" | "signal";
  readonly status: "running" | "retrying" | "completed" | "failed" | "waiting" | "cancelled";
  /** The newest attempt that started or failed; 0 for sleeps and waits. */
  readonly attempt: number;
  /** Attempts up to this one have failed. */
  readonly failedAttempt: number;
  /** Start of the first attempt, for the policy's maxElapsedMs. */
  readonly firstStartedAtMs: number;
  readonly startedAtMs: number;
  /** Due time of the next attempt while retrying. */
  readonly retryAtMs: number;
  readonly atMostOnce: boolean;
  /** Server-side bound of the running attempt; 0 when none. */
  readonly timeoutAtMs: number;
  readonly retryPolicy: RetryPolicy | undefined;
  /** Seq of the event that holds the result, or of the newest event of the key. */
  readonly seq: number;
  /** The awaited signal, for waits; empty otherwise. */
  readonly signalName: string;
  /** The signal that a completed wait got; 0 when its timer fired first. */
  readonly signalSeq: number;
}

export interface TimerState {
  readonly firesAtMs: number;
  /** Empty for a sleep. */
  readonly signalName: string;
}

export interface OpenSignal {
  /** The seq of its SignalReceived event: its number in the run. */
  readonly seq: number;
  readonly name: string;
}

export interface AppliedOp {
  readonly digest: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export interface LeaseState {
  readonly leaseId: string;
  readonly epoch: number;
  readonly ttlMs: number;
  readonly workerId: string;
  readonly instanceId: string;
  readonly requestId: string;
  /** Seq of its LeaseGranted: the journal ends there, later events are notices. */
  readonly grantedSeq: number;
  readonly grantedAtMs: number;
}

/** A StartStep that has no event yet: it becomes StepStarted when its batch is sealed, or is folded into the completion. */
export interface PendingStart {
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly atMostOnce: boolean;
  readonly timeoutMs: number;
  readonly retryPolicy: RetryPolicy | undefined;
  readonly input: Payload | undefined;
  readonly opId: number;
  readonly opDigest: number;
}

export interface CancelState {
  readonly reason: string;
  readonly graceMs: number;
  readonly deadlineAtMs: number;
  /** True once a worker was told. The deadline moves only once. */
  readonly delivered: boolean;
  /** Seq of CancelRequested. */
  readonly seq: number;
}

/**
 * A run as decided. `evolve` changes it in place: one object per hot run, no copy per event. Everything here is a
 * fold of the run's events; nothing is here that the events do not say.
 */
export interface RunState {
  readonly runNo: number;
  readonly namespace: string;
  readonly runId: string;
  workflow: string;
  queue: string;
  runKey: string;
  priority: number;
  requestId: string;
  status: RunStatus;
  pauseReason: PauseReason | undefined;
  version: number;
  lastSeq: number;
  /** Size of the history in bytes. */
  historyBytes: number;
  stepsCompleted: number;
  createdAtMs: number;
  updatedAtMs: number;
  startedAtMs: number;
  closedAtMs: number;
  availableAtMs: number;
  timeoutAtMs: number;
  /** How long the run may take, from its creation and again from each retry; 0 when without limit. */
  runTimeoutMs: number;
  /** Number of grants: the epoch of the live or last lease. */
  epoch: number;
  lease: LeaseState | undefined;
  /** Id of the newest lease, also when it has ended: repeats of its ops are recognised by it. */
  lastLeaseId: string;
  /** Seq of the newest LeaseGranted and of the newest TimerFired; 0 when there is none. */
  grantedSeq: number;
  timerFiredSeq: number;
  /** Grants since the last progress. */
  deliveries: number;
  /** Expiries since the last progress. */
  expiries: number;
  steps: SparseMap<string, StepState>;
  pendingStarts: SparseMap<string, PendingStart>;
  /** Pending timers, by step key. */
  timers: SparseMap<string, TimerState>;
  /** Signals that no step has consumed, in order. */
  signals: readonly OpenSignal[];
  /** Signals that the holder of the live lease has taken and no result has consumed, in order. */
  reservedSignals: readonly OpenSignal[];
  /** request_id of every signal and of every retry, with the seq of its event, for dedup. */
  signalRequests: SparseMap<string, number>;
  retryRequests: SparseMap<string, number>;
  /** Ops of the newest epoch, for recognising repeats. */
  ops: SparseMap<number, AppliedOp>;
  lastOpId: number;
  cancel: CancelState | undefined;
  /** A pause of a leased run that has not come into force. */
  pauseDeadlineAtMs: number;
  pauseText: string;
  /** What a WAITING run (or one paused while waiting) waits for; empty otherwise. */
  awaits: readonly Await[];
  failure: Failure | undefined;
  failedSteps: readonly string[];
}

export const deadlineKinds = ["timer", "retry", "available", "runTimeout", "cancel", "pause", "stepTimeout"] as const;
export type DeadlineKind = (typeof deadlineKinds)[number];

/** A durable instant at which the server has to do something about a run. */
export interface Deadline {
  readonly kind: DeadlineKind;
  /** Empty for those of the run itself. */
  readonly stepKey: string;
  readonly dueAtMs: number;
}
