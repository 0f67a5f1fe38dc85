import type { Refusal } from "../core/errors.ts";
import type { Await, PauseReason, RunEvent } from "../core/event.ts";
import type { Change, ResumeRun, StartRun } from "../core/command.ts";
import type { Failure } from "../core/failure.ts";
import type { Payload } from "../core/payload.ts";
import type { RunStatus, StepState } from "../core/state.ts";
import type { RunFilter, StepStatsRow } from "../store/store.ts";
import type { Counters } from "./telemetry.ts";
import type { Assignment, Hello, LeaseHandle, Notice, OpApplied, ServerFrame, WorkerClaim } from "./frames.ts";

// What the engine offers to the wire and to embedding programs. Every promise resolves when its answer is durable and
// rejects with EngineError; nothing of a rejected call is applied. Inputs have been validated by the caller with
// src/server/validate.ts, or come from our own code.

/** A run as it may be shown: durable facts only. Times are Unix milliseconds, 0 when unset. */
export interface RunView {
  readonly runNo: number;
  readonly namespace: string;
  readonly runId: string;
  readonly workflow: string;
  readonly queue: string;
  readonly runKey: string;
  readonly status: RunStatus;
  readonly pauseReason: PauseReason | undefined;
  readonly cancelRequested: boolean;
  readonly input: Payload | undefined;
  readonly output: Payload | undefined;
  readonly failure: Failure | undefined;
  readonly priority: number;
  readonly version: number;
  readonly stepsCompleted: number;
  readonly lastSeq: number;
  readonly epoch: number;
  readonly workerId: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly startedAtMs: number;
  readonly closedAtMs: number;
  readonly availableAtMs: number;
  readonly timeoutAtMs: number;
}

export interface RunRef {
  readonly namespace: string;
  readonly runId: string;
}

export interface StartRequest extends Omit<StartRun, "type"> {
  readonly namespace: string;
  /** Empty: derived from (namespace, requestId), or made new. */
  readonly runId: string;
}

export type StartOutcome =
  | { readonly kind: "started"; readonly runId: string; readonly runNo: number; readonly already: boolean }
  | Refusal;

export interface LeasedRef {
  readonly namespace: string;
  readonly lease: LeaseHandle;
}

/** A lease by its handle, or by the name of its holder. */
export interface ClaimedRef {
  readonly namespace: string;
  readonly lease: LeaseHandle | WorkerClaim;
}

export interface UnaryOp extends LeasedRef {
  /** 0: no order check, dedup by content. */
  readonly opId: number;
  readonly change: Change;
}

export interface AcquireRequest {
  readonly namespace: string;
  readonly queues: readonly string[];
  /** Empty: any workflow. */
  readonly workflows: readonly string[];
  readonly workerId: string;
  readonly requestId: string;
  readonly waitMs: number;
  /** 0: the server's. */
  readonly leaseTtlMs: number;
}

export interface StepView {
  readonly stepKey: string;
  readonly kind: StepState["kind"];
  readonly status: StepState["status"];
  readonly attempt: number;
  readonly input: Payload | undefined;
  readonly output: Payload | undefined;
  readonly failure: Failure | undefined;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly retryAtMs: number;
}

export interface SignalInfo {
  readonly seq: number;
  readonly name: string;
  readonly payload: Payload | undefined;
  readonly receivedAtMs: number;
  /** The step key that consumed it; empty while open or reserved. */
  readonly consumedBy: string;
  /** Nobody has consumed or reserved it. */
  readonly open: boolean;
}

export interface TimerInfo {
  readonly stepKey: string;
  readonly kind: "sleep" | "waitTimeout";
  readonly firesAtMs: number;
}

export interface Explanation {
  readonly run: RunView;
  /** One or two sentences for a person: what the run waits for and what will move it. */
  readonly text: string;
  readonly awaits: readonly Await[];
  readonly timers: readonly TimerInfo[];
  readonly openSignals: number;
  readonly leaseRemainingMs: number;
  readonly queueServed: boolean;
  readonly deliveriesSinceProgress: number;
}

/** What an op of a worker says, checked. */
export interface OpRequest {
  readonly opId: number;
  readonly lease: LeaseHandle;
  readonly changes: readonly Change[];
  readonly afterRefused: number;
}

/** The engine's end of one Session stream. Frames of the worker go in, frames of the server come out. */
export interface SessionStream {
  /** The first frame of a worker. Everything else before it is refused with FrameRefused and ends the stream. */
  hello(hello: Hello): void;
  capacity(capacity: number): void;
  accept(leases: readonly LeaseHandle[]): void;
  release(leases: readonly LeaseHandle[], retryAfterMs: number): void;
  op(op: OpRequest): void;
  /** An op that the wire found invalid: refused in its place in the order. */
  invalidOp(opId: number, lease: LeaseHandle, refusal: Refusal): void;
  beat(
    beatSeq: number,
    held: readonly { readonly leaseId: string; readonly epoch: number; readonly noticesSeen: number }[],
  ): void;
  drain(): void;
  goodbye(): void;
  pong(nonce: number): void;
  /** A frame that the wire could not read: answered with FrameRefused, the stream goes on. */
  invalidFrame(refusal: Refusal): void;
  /** The worker said its last word without Goodbye: what it sent is still answered, then the stream ends. */
  halfClosed(): void;
  /** The transport failed or nobody reads any more. Idempotent. */
  closed(): void;
}

/** What the transport gives the engine for one stream. */
export interface StreamSink {
  /** Frames are ready to be taken; called once until take() has returned an empty list. */
  wake(): void;
  /** No more frames will come after those that take() still gives: end the stream. */
  end(): void;
}

export interface SessionHandle extends SessionStream {
  /** Takes the frames that are ready now, in the order of the wire, at most about `bytesMax` bytes of payload. */
  take(bytesMax: number): ServerFrame[];
}

export interface EngineStatus {
  readonly writer: "open" | "full" | "stopped";
  readonly draining: boolean;
  readonly sessions: number;
  readonly leases: number;
  readonly mailbox: number;
  readonly clockAheadMs: number;
  readonly counters: Readonly<Counters>;
}

export interface Page<T> {
  readonly items: T[];
  /** True when more follow behind the last item. */
  readonly more: boolean;
}

export interface Engine {
  readonly settings: { readonly leaseTtlMs: number; readonly payloadBytesMax: number };

  /** The run as it was when its start became durable; `already` when the same request had started it before. */
  startRun(request: StartRequest): Promise<{ readonly run: RunView; readonly already: boolean }>;
  startRuns(requests: readonly StartRequest[]): Promise<StartOutcome[]>;
  signalWithStartRun(
    start: StartRequest,
    signal: { readonly name: string; readonly payload: Payload | undefined; readonly requestId: string },
  ): Promise<{ readonly run: RunView; readonly started: boolean; readonly signalSeq: number }>;
  signalRun(
    ref: RunRef,
    signal: { readonly name: string; readonly payload: Payload | undefined; readonly requestId: string },
  ): Promise<{ readonly signalSeq: number; readonly already: boolean }>;
  cancelRun(ref: RunRef, options: { readonly reason: string; readonly graceMs: number }): Promise<RunView>;
  terminateRun(ref: RunRef, options: { readonly reason: string }): Promise<RunView>;
  pauseRun(ref: RunRef, options: { readonly reason: string; readonly graceMs: number }): Promise<RunView>;
  resumeRun(ref: RunRef, resolution: ResumeRun["resolution"]): Promise<RunView>;
  retryRun(ref: RunRef, options: { readonly reason: string; readonly requestId: string }): Promise<RunView>;

  getRun(ref: RunRef): Promise<RunView>;
  /** Newest first. `beforeRunNo` is the cursor: the runNo of the last item. */
  listRuns(
    filter: RunFilter,
    options: { readonly beforeRunNo: number; readonly limit: number },
  ): Promise<Page<RunView>>;
  countRuns(filter: RunFilter): Promise<{ readonly status: RunStatus; readonly count: number }[]>;
  history(ref: RunRef, options: { readonly afterSeq: number; readonly limit: number }): Promise<Page<RunEvent>>;
  /** Every durable event from behind afterSeq, in order, until the run is closed (then it ends) or the signal aborts. An empty batch is a keep-alive. */
  watchRun(
    ref: RunRef,
    options: { readonly afterSeq: number; readonly signal: AbortSignal },
  ): AsyncIterable<RunEvent[]>;
  /** Summaries of runs whose row changed, from behind the cursor (empty: from now), until the signal aborts. */
  watchRuns(
    filter: RunFilter,
    options: {
      readonly cursor: { readonly commitNo: number; readonly runNo: number } | undefined;
      readonly signal: AbortSignal;
    },
  ): AsyncIterable<{
    readonly runs: RunView[];
    readonly cursor: { readonly commitNo: number; readonly runNo: number };
  }>;
  /** The run once it is closed, or as it is when the time is over. */
  waitRun(
    ref: RunRef,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<{ readonly run: RunView; readonly timedOut: boolean }>;
  listSteps(ref: RunRef, options: { readonly offset: number; readonly limit: number }): Promise<Page<StepView>>;
  listSignals(
    ref: RunRef,
    options: { readonly onlyOpen: boolean; readonly afterSeq: number; readonly limit: number },
  ): Promise<Page<SignalInfo>>;
  listTimers(ref: RunRef): Promise<TimerInfo[]>;
  stepStats(options: { readonly namespace: string; readonly workflow: string }): Promise<StepStatsRow[]>;
  explainRun(ref: RunRef): Promise<Explanation>;

  /** Undefined when nothing came within the wait. When `signal` aborts before the answer, the grant ends UNDELIVERED. */
  acquireLease(request: AcquireRequest, signal: AbortSignal): Promise<Assignment | undefined>;
  renewLease(
    request: ClaimedRef & { readonly leaseTtlMs: number },
  ): Promise<{ readonly expiresInMs: number; readonly notices: Notice[] }>;
  releaseLease(request: ClaimedRef & { readonly retryAfterMs: number }): Promise<void>;
  /** Changes under the lease that the named worker holds: all or none. */
  applyClaimed(op: ClaimedRef & { readonly changes: readonly Change[] }): Promise<OpApplied>;
  applyUnary(op: UnaryOp): Promise<{ readonly applied: OpApplied; readonly notices: Notice[] }>;

  /** A timer that needs no lease; its seq names it. */
  addTimer(ref: RunRef, firesAtMs: number): Promise<{ readonly seq: number }>;
  /** The oldest open signal: reserved for the holder of the lease, consumed when nobody holds one; undefined when none is open. */
  takeSignal(ref: RunRef): Promise<SignalInfo | undefined>;
  /** When the live lease of a run ends unless it is renewed, Unix milliseconds of server time; 0 when nobody holds one. */
  leaseExpiresAtMs(runNo: number): number;
  /** Server time, Unix milliseconds. */
  nowMs(): number;

  openSession(sink: StreamSink): SessionHandle;

  status(): EngineStatus;
  /** No new runs of work are handed out; streams are told to go away, and so is whoever waits for a run. */
  drain(): void;
  /** Ends sessions, waits for what is being committed, closes the store. */
  stop(): Promise<void>;
  backup(path: string): Promise<void>;
  fileBytes(): { readonly databaseBytes: number; readonly walBytes: number };
}
