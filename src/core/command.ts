import type { Await, LeaseEndReason, RetryPolicy } from "./event.ts";
import type { Failure } from "./failure.ts";
import type { Payload } from "./payload.ts";
import type { DeadlineKind } from "./state.ts";

// What can be asked of one run. Commands are imperative, events past tense. A command names everything that chance or
// a clock would add (ids, random numbers); the instant comes with the context.

export interface StartRun {
  readonly type: "StartRun";
  readonly workflow: string;
  readonly queue: string;
  readonly runKey: string;
  readonly priority: number;
  readonly input: Payload | undefined;
  readonly startDelayMs: number;
  readonly runTimeoutMs: number;
  readonly requestId: string;
}

export interface Grant {
  readonly type: "Grant";
  readonly leaseId: string;
  readonly ttlMs: number;
  readonly workerId: string;
  readonly instanceId: string;
  readonly requestId: string;
}

/** The server ends a lease: expiry, undelivered, unaccepted, restart. Ignored when the lease is another one by now. */
export interface EndLease {
  readonly type: "EndLease";
  readonly leaseId: string;
  readonly reason: LeaseEndReason;
  /** True when the grant does not count in the delivery budget. */
  readonly uncounted: boolean;
}

export interface ExtendLease {
  readonly type: "ExtendLease";
  readonly lease: LeaseRef;
  readonly ttlMs: number;
}

export interface ReleaseLease {
  readonly type: "ReleaseLease";
  readonly lease: LeaseRef;
  readonly retryAfterMs: number;
}

/** What a worker shows to prove its right. `leaseId` is 32 hexadecimal digits. */
export interface LeaseRef {
  readonly leaseId: string;
  readonly epoch: number;
}

/** A list of changes under a lease, applied whole or not at all. */
export interface ApplyOp {
  readonly type: "ApplyOp";
  readonly lease: LeaseRef;
  /** 0: no order check, repeats are recognised by content. */
  readonly opId: number;
  readonly afterRefused: number;
  readonly changes: readonly Change[];
  /** Digest of the changes, for recognising repeats. */
  readonly digest: number;
  /** True on a stream, where a suspend with something pending is refused; a unary one is put back into the line. */
  readonly onSession: boolean;
}

export type Change =
  | {
      readonly type: "StartStep";
      readonly stepKey: string;
      /** 0: the next one. */
      readonly attempt: number;
      readonly atMostOnce: boolean;
      readonly timeoutMs: number;
      readonly input: Payload | undefined;
      readonly retryPolicy: RetryPolicy | undefined;
    }
  | {
      readonly type: "CompleteStep";
      readonly stepKey: string;
      readonly attempt: number;
      readonly output: Payload | undefined;
      readonly elapsedMs: number;
    }
  | {
      readonly type: "FailStep";
      readonly stepKey: string;
      readonly attempt: number;
      readonly failure: Failure;
      readonly retryPolicy: RetryPolicy | undefined;
      readonly elapsedMs: number;
    }
  | { readonly type: "SetTimer"; readonly stepKey: string; readonly delayMs: number; readonly signalName: string }
  | { readonly type: "CancelTimer"; readonly stepKey: string }
  | { readonly type: "ConsumeSignal"; readonly stepKey: string; readonly name: string }
  | {
      /** A worker gives up a failed attempt and its lease, and comes back after the delay, or learns that it may not. */
      readonly type: "BackOff";
      readonly stepKey: string;
      /** The retries that the worker says it has had; the history is believed when it knows of more. */
      readonly retryCount: number;
      readonly retriesMax: number;
      readonly policy: RetryPolicy;
    }
  | { readonly type: "SuspendRun"; readonly awaits: readonly Await[]; readonly noticesSeen: number }
  | { readonly type: "CompleteRun"; readonly output: Payload | undefined }
  | { readonly type: "FailRun"; readonly failure: Failure; readonly failedSteps: readonly string[] }
  | { readonly type: "CancelledRun" };

export interface SignalRun {
  readonly type: "SignalRun";
  readonly name: string;
  readonly payload: Payload | undefined;
  readonly requestId: string;
}

export interface CancelRun {
  readonly type: "CancelRun";
  readonly reason: string;
  readonly graceMs: number;
}

export interface TerminateRun {
  readonly type: "TerminateRun";
  readonly reason: string;
}

export interface PauseRun {
  readonly type: "PauseRun";
  readonly reason: string;
  readonly graceMs: number;
}

export interface ResumeRun {
  readonly type: "ResumeRun";
  readonly resolution:
    | undefined
    | { readonly kind: "repeat" }
    | { readonly kind: "complete"; readonly output: Payload | undefined }
    | { readonly kind: "fail"; readonly failure: Failure };
}

export interface RetryRun {
  readonly type: "RetryRun";
  readonly reason: string;
  readonly requestId: string;
}

/** A timer that needs no lease: anybody may set it. */
export interface AddTimer {
  readonly type: "AddTimer";
  readonly firesAtMs: number;
}

/** The oldest open signal, of any name: reserved for the holder of the lease, or consumed when nobody holds one. */
export interface TakeSignal {
  readonly type: "TakeSignal";
}

/** A stored instant has come. Ignored when what it stood for is gone. */
export interface DeadlineDue {
  readonly type: "DeadlineDue";
  readonly kind: DeadlineKind;
  readonly stepKey: string;
}

export type RunCommand =
  | Grant
  | EndLease
  | ExtendLease
  | ReleaseLease
  | ApplyOp
  | SignalRun
  | CancelRun
  | TerminateRun
  | PauseRun
  | ResumeRun
  | RetryRun
  | AddTimer
  | TakeSignal
  | DeadlineDue;
