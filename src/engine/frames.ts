import type { ChangeNote } from "../core/decision.ts";
import type { Refusal } from "../core/errors.ts";
import type { LeaseEndReason } from "../core/event.ts";
import type { Failure } from "../core/failure.ts";
import type { Payload } from "../core/payload.ts";

// What the engine tells a worker, in its own words: the wire's encoding of it lives in src/server.

export interface LeaseHandle {
  readonly runId: string;
  readonly leaseId: string;
  readonly epoch: number;
}

/**
 * A lease named by its holder, as the seed's workers do: the live lease of the run is meant, if this worker holds it.
 * As strong as the name, unless the lease's own id and epoch are shown with it.
 */
export interface WorkerClaim {
  readonly runId: string;
  readonly workerId: string;
  /** Empty when not shown. */
  readonly leaseId: string;
  /** 0 when not shown. */
  readonly epoch: number;
}

export interface SignalView {
  readonly seq: number;
  readonly name: string;
  readonly payload: Payload | undefined;
  readonly receivedAtMs: number;
}

/** What replay has to know of one step key. */
export type JournalEntry = { readonly stepKey: string } & (
  | { readonly kind: "completed"; readonly output: Payload | undefined }
  | { readonly kind: "failed"; readonly failure: Failure; readonly attempt: number }
  | {
      readonly kind: "retrying";
      readonly failure: Failure;
      readonly attempt: number;
      readonly delayMs: number;
      readonly elapsedMs: number;
    }
  | { readonly kind: "started"; readonly attempt: number }
  | { readonly kind: "timer"; readonly delayMs: number; readonly signalName: string }
  | { readonly kind: "timerFired"; readonly signalName: string }
  | { readonly kind: "timerCancelled"; readonly signalName: string }
  | {
      readonly kind: "signal";
      readonly signalSeq: number;
      readonly name: string;
      readonly payload: Payload | undefined;
    }
);

export interface Assignment {
  readonly lease: LeaseHandle;
  readonly namespace: string;
  readonly workflow: string;
  readonly queue: string;
  readonly runKey: string;
  readonly input: Payload | undefined;
  readonly leaseTtlMs: number;
  readonly journal: readonly JournalEntry[];
  /** More of the journal follows in chunks. */
  readonly journalContinues: boolean;
  readonly openSignals: readonly SignalView[];
  /** The seq of the grant: journal and open signals end there. */
  readonly journalThrough: number;
  readonly cancelRequested: boolean;
  readonly deliveries: number;
  readonly createdAtMs: number;
}

export interface Notice {
  readonly leaseId: string;
  /** The seq of the event that it tells of. */
  readonly seq: number;
  readonly what:
    | { readonly kind: "cancel"; readonly reason: string; readonly graceMs: number }
    | { readonly kind: "signal"; readonly signal: SignalView }
    | { readonly kind: "timerFired"; readonly stepKey: string }
    | { readonly kind: "retryDue"; readonly stepKey: string }
    | { readonly kind: "pause"; readonly graceMs: number };
}

/** A note of core with what only the history knows. */
export type ResolvedNote =
  | Exclude<ChangeNote, { kind: "signal" } | { kind: "stored" }>
  | {
      readonly kind: "signal";
      readonly index: number;
      readonly signalSeq: number;
      readonly payload: Payload | undefined;
    }
  | { readonly kind: "stored"; readonly index: number; readonly output: Payload | undefined };

export interface OpApplied {
  readonly kind: "applied";
  readonly already: boolean;
  readonly lastSeq: number;
  readonly notes: readonly ResolvedNote[];
  /** Server time of the decision: delays are counted from it. */
  readonly nowMs: number;
  /** True when a unary suspend put the run back into its line. */
  readonly queued: boolean;
}

export type OpOutcome = OpApplied | Refusal;

export interface OpResult {
  readonly opId: number;
  readonly leaseId: string;
  readonly outcome: OpOutcome;
}

export interface Verdict {
  readonly leaseId: string;
  readonly kept: boolean;
  readonly lostReason: LeaseEndReason | undefined;
  readonly lastOpId: number;
}

export interface SessionSettings {
  readonly leaseTtlMs: number;
  readonly beatIntervalMs: number;
  readonly watchdogMs: number;
  readonly acceptTimeoutMs: number;
  readonly payloadBytesMax: number;
  readonly frameOpsMax: number;
}

export interface LostLease {
  readonly leaseId: string;
  readonly reason: LeaseEndReason;
}

export type GoAwayReason = "SHUTDOWN" | "OVERLOAD" | "SUPERSEDED" | "SLOW_CONSUMER" | "PROTOCOL";

export type ServerFrame =
  | {
      readonly kind: "welcome";
      readonly sessionId: string;
      readonly resumeToken: string;
      readonly resumed: boolean;
      readonly settings: SessionSettings;
      readonly verdicts: readonly Verdict[];
    }
  | { readonly kind: "assign"; readonly assignment: Assignment }
  | {
      readonly kind: "journalChunk";
      readonly leaseId: string;
      readonly journal: readonly JournalEntry[];
      readonly continues: boolean;
    }
  | { readonly kind: "opResult"; readonly result: OpResult }
  | {
      readonly kind: "beatAck";
      readonly beatSeq: number;
      readonly expiresInMs: number;
      readonly lost: readonly LostLease[];
    }
  | { readonly kind: "notice"; readonly notice: Notice }
  | { readonly kind: "revoke"; readonly lost: LostLease }
  | { readonly kind: "drainAck" }
  | {
      readonly kind: "goAway";
      readonly reason: GoAwayReason;
      readonly reconnectAfterMs: number;
      readonly jitterMs: number;
      readonly message: string;
    }
  | { readonly kind: "ping"; readonly nonce: number }
  | { readonly kind: "frameRefused"; readonly refusal: Refusal };

/** What a worker sends. */
export interface Hello {
  readonly protocolVersion: number;
  readonly instanceId: string;
  readonly identity: string;
  readonly sdk: string;
  readonly buildId: string;
  readonly namespace: string;
  readonly queues: readonly string[];
  readonly workflows: readonly string[];
  readonly capacity: number;
  readonly resume: { readonly sessionId: string; readonly resumeToken: string } | undefined;
  readonly held: readonly {
    readonly lease: LeaseHandle;
    readonly noticesSeen: number;
    readonly lastRefusedOpId: number;
  }[];
}
