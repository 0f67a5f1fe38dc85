import type { Failure } from "./failure.ts";
import type { Payload } from "./payload.ts";

// An event is an immutable fact about a run and the only truth of the file. Every event has the same columns, so
// that one prepared statement writes them all and one object shape passes the hot path; what only some types need
// lies in `detail`. The numbers of the types are stored: append, never renumber.

export const eventTypes = {
  RunCreated: 1,
  LeaseGranted: 2,
  LeaseExtended: 3,
  LeaseEnded: 4,
  StepStarted: 5,
  StepAttemptFailed: 6,
  StepCompleted: 7,
  StepFailed: 8,
  TimerSet: 9,
  TimerFired: 10,
  TimerCancelled: 11,
  SignalReceived: 12,
  SignalConsumed: 13,
  RunSuspended: 14,
  RetryDue: 15,
  CancelRequested: 16,
  CancelDelivered: 17,
  PauseRequested: 18,
  RunPaused: 19,
  RunResumed: 20,
  RunCompleted: 21,
  RunFailed: 22,
  RunCancelled: 23,
  RunTerminated: 24,
  RunReopened: 25,
  SignalReserved: 26,
} as const;
export type EventTypeName = keyof typeof eventTypes;

export const eventTypeNames: readonly (EventTypeName | undefined)[] = Object.entries(eventTypes).reduce<
  (EventTypeName | undefined)[]
>((names, [name, number]) => {
  names[number] = name as EventTypeName;
  return names;
}, []);

/** Results of which a step key has at most one: a unique index of the file guards the same. */
export const resultTypes: ReadonlySet<EventTypeName> = new Set(["StepCompleted", "SignalConsumed", "TimerFired"]);

export const leaseEndReasons = [
  "DONE",
  "SUSPENDED",
  "RELEASED",
  "EXPIRED",
  "REVOKED",
  "UNDELIVERED",
  "UNACCEPTED",
  "RESTART",
] as const;
export type LeaseEndReason = (typeof leaseEndReasons)[number];

export const pauseReasons = ["REQUESTED", "DELIVERY_BUDGET", "UNCERTAIN_EFFECT", "CORRUPT_HISTORY"] as const;
export type PauseReason = (typeof pauseReasons)[number];

/** One thing that wakes a suspended run. */
export type Await =
  | { readonly kind: "timer"; readonly stepKey: string }
  /** With a step key: the wait whose result the signal becomes in the commit that records it. */
  | { readonly kind: "signal"; readonly name: string; readonly stepKey?: string }
  | { readonly kind: "retry"; readonly stepKey: string }
  /** The next signal of any name or the next timer that fires, counted from the grant. */
  | { readonly kind: "any" };

/** What each type keeps in `detail`: JSON-serialisable, defaults left out. */
export interface EventDetails {
  RunCreated: {
    workflow: string;
    queue: string;
    runKey?: string;
    /** Left out when 5. */
    priority?: number;
    /** Left out when the run is available at its creation. */
    availableAtMs?: number;
    timeoutAtMs?: number;
    requestId?: string;
  };
  LeaseGranted: {
    /** 32 hexadecimal digits; never leaves the server but to its holder. */
    leaseId: string;
    ttlMs: number;
    workerId: string;
    /** Absent for leases of unary calls. */
    instanceId?: string;
    requestId?: string;
  };
  LeaseExtended: { ttlMs: number };
  LeaseEnded: {
    reason: LeaseEndReason;
    /** True when the grant does not count in the delivery budget. */
    uncounted?: boolean;
    /** When the run becomes available again; left out when at once or never. */
    availableAtMs?: number;
  };
  StepStarted: { attempt: number; atMostOnce?: boolean; timeoutMs?: number; retryPolicy?: RetryPolicy };
  StepAttemptFailed: { attempt: number; failure: Failure; retryAtMs: number };
  /** Left out when the attempt is 1. */
  StepCompleted: { attempt: number } | undefined;
  StepFailed: { attempt: number; failure: Failure };
  TimerSet: { firesAtMs: number; signalName?: string };
  TimerFired: undefined;
  TimerCancelled: undefined;
  SignalReceived: { name: string; requestId?: string };
  SignalConsumed: { signalSeq: number; name: string };
  /** cancelUnseen: a cancel was pending that the worker had not been told; the run goes back into its line. */
  RunSuspended: { awaits: readonly Await[]; cancelUnseen?: boolean };
  RetryDue: undefined;
  CancelRequested: { reason?: string; graceMs: number; deadlineAtMs: number };
  CancelDelivered: { deadlineAtMs: number };
  PauseRequested: { reason?: string; deadlineAtMs: number };
  RunPaused: { reason: PauseReason; text?: string };
  RunResumed: undefined;
  RunCompleted: undefined;
  RunFailed: { failure: Failure; failedSteps?: readonly string[] };
  RunCancelled: { reason?: string };
  RunTerminated: { reason?: string };
  /** Taken by the holder of the lease; consumed by its next result, free again when the lease ends without one. */
  SignalReserved: { signalSeq: number; name: string };
  RunReopened: { voidedSteps: readonly string[]; timeoutAtMs?: number; reason?: string; requestId?: string };
}

/** How the delay between attempts grows. All times in milliseconds. */
export interface RetryPolicy {
  readonly backoff?: "fixed" | "linear" | "exponential" | "listed";
  readonly initialDelayMs?: number;
  readonly factor?: number;
  readonly maxDelayMs?: number;
  readonly jitter?: number;
  /** 0 means without limit. */
  readonly maxAttempts?: number;
  /** 0 or absent means without limit. */
  readonly maxElapsedMs?: number;
  readonly nonRetryableTypes?: readonly string[];
  readonly delaysMs?: readonly number[];
}

export interface EventOf<T extends EventTypeName> {
  readonly type: T;
  /** Number in the run, 1..n without gaps. */
  readonly seq: number;
  /** Server time, Unix milliseconds. */
  readonly atMs: number;
  /** The epoch under which it was written; 0 when no lease caused it. */
  readonly epoch: number;
  /** The op that wrote it; 0 when none. */
  readonly opId: number;
  /** Digest of the whole op, on its first event only; 0 on others. */
  readonly opDigest: number;
  /** Empty when it is about no step. */
  readonly stepKey: string;
  /** 0 when not recorded. */
  readonly startedAtMs: number;
  /** Absent also when the event was read without payloads. */
  readonly payload: Payload | undefined;
  /** Size of the payload and detail; known even when the payload was not read. */
  readonly bytes: number;
  readonly detail: EventDetails[T];
}

export type RunEvent = { [T in EventTypeName]: EventOf<T> }[EventTypeName];
