// One run under one lease: starts the workflow function over the journal, answers its durable calls, reacts to notices,
// and ends the lease with a result, a suspension or a release. When the lease ends before the function, the function
// is unwound: its promises never settle, no timer holds them, and the garbage collector takes them.
import type { Change, OpResult } from "../../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import type { Payload } from "../../../gen/ts/everstep/v1/payload_pb.ts";
import type { Assignment, JournalEntry, Notice } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { decodePayload, encodeWithin, type PayloadCodec } from "./codec.ts";
import { CancelledError, LeaseLostError, type NonDeterminismError, PayloadTooLargeError } from "./errors.ts";
import { carriesCancel, failedSteps, failureBytes, toFailure } from "./failure.ts";
import * as frames from "./frames.ts";
import { abandonedRetryMs, failedStepsMax } from "./limits.ts";
import { type OpHandlers, OpPipe } from "./op-pipe.ts";
import type { Outbox } from "./outbox.ts";
import { react } from "./notices.ts";
import type { SessionPorts } from "./ports.ts";
import { Journal } from "./replay/journal.ts";
import { StepKeys } from "./replay/keys.ts";
import { RunAborts } from "./run-aborts.ts";
import type { RunBody, RunHost } from "./run-host.ts";
import type { RunningAttempt } from "./step-attempt.ts";
import { Suspension } from "./suspension.ts";
import { Waits } from "./waits.ts";

export class LeaseRun {
  readonly assignment: Assignment;
  /** lease_id as a map key. */
  readonly leaseKey: string;
  readonly runId: string;
  readonly fencingToken: number;
  readonly ports: SessionPorts;
  readonly outbox: Outbox;
  readonly codec: PayloadCodec;
  readonly pipe: OpPipe;
  readonly waits: Waits;
  readonly journal: Journal;
  readonly keys = new StepKeys();
  /** Steps that have failed for good; a failed run may name no others. */
  readonly failedSteps = new Set<string>();
  /** Attempts with a timer. */
  readonly timed = new Set<RunningAttempt>();
  /** Steps whose function runs. */
  stepsRunning = 0;
  /** Results that are on their way to be durable. */
  outcomesPending = 0;
  noticesSeen: bigint;
  /** When the server last said that the lease lives, by our clock. */
  confirmedAtMs = 0;
  /** Set once the workflow may see that its cancel was requested. */
  cancel: CancelledError | undefined;
  ended = false;
  readonly #host: RunHost;
  readonly #body: RunBody;
  readonly #aborts = new RunAborts();
  #started = false;
  #finishing = false;
  #givingBack = false;
  #idlePlanned = false;
  /** A cancel from before the grant counts when the replay has come to its end. */
  #cancelToCome: CancelledError | undefined;
  readonly #suspension: Suspension;

  constructor(host: RunHost, assignment: Assignment, leaseKey: string, body: RunBody) {
    const { lease } = assignment;
    if (lease === undefined) throw new Error("an assignment came without its lease");
    this.#host = host;
    this.#body = body;
    this.assignment = assignment;
    this.leaseKey = leaseKey;
    this.runId = lease.runId;
    this.fencingToken = Number(lease.epoch);
    this.ports = host.ports;
    this.outbox = host.outbox;
    this.codec = host.codec;
    this.noticesSeen = assignment.journalThrough;
    this.journal = new Journal(host.ports.defer);
    this.waits = new Waits(this);
    this.#suspension = new Suspension(this);
    this.pipe = new OpPipe(lease, {
      outbox: host.outbox,
      clock: host.ports.clock,
      random: host.ports.random,
      lost: (why) => this.lost(why),
      abandon: (why) => this.abandon(why),
    });
  }

  get payloadBytesMax(): number {
    return this.#host.payloadBytesMax;
  }

  /** Fires on cancel and on loss of the lease. */
  get cancelSignal(): AbortSignal {
    return this.#aborts.cancelSignal;
  }

  /** Fires on loss of the lease only. */
  get leaseSignal(): AbortSignal {
    return this.#aborts.leaseSignal;
  }

  /** False while parts of the journal are still to come. */
  get started(): boolean {
    return this.#started;
  }

  addJournal(entries: readonly JournalEntry[], continues: boolean): void {
    if (this.ended || this.#started) return;
    this.journal.add(entries);
    if (!continues) this.#start();
  }

  #start(): void {
    this.#started = true;
    const { assignment } = this;
    if (assignment.cancelRequested) this.#cancelToCome = new CancelledError(this.runId);
    if (this.journal.exhausted) this.replayed();
    for (const signal of assignment.openSignals) this.waits.signalCame(signal);
    this.#suspension.goOn();
    let input: unknown;
    try {
      input = this.decode(assignment.input);
    } catch (error) {
      return this.fail(error);
    }
    this.#body(this, input).then(
      (output) => this.whenLive(() => this.#complete(output)),
      (error) => this.whenLive(() => this.fail(error)),
    );
    if (this.#cancelToCome !== undefined) this.planIdleCheck();
  }

  decode(payload: Payload | undefined): unknown {
    return decodePayload(this.codec, payload);
  }

  submit(changes: Change[], bytes: number, handlers: OpHandlers): void {
    if (!this.#finishing) this.pipe.submit(changes, bytes, handlers);
  }

  settle(result: OpResult): void {
    this.pipe.settle(result);
    if (this.waits.size > 0 || this.#givingBack) this.planIdleCheck();
  }

  /** Runs now, or when it is known whether a suspension that is on its way was accepted. */
  whenLive(action: () => void): void {
    if (this.ended) return;
    this.#suspension.whenLive(action);
  }

  /** Called when recorded results were handed over; after the last one an earlier cancel becomes visible. */
  replayed(): void {
    const cancel = this.#cancelToCome;
    if (cancel === undefined || !this.journal.exhausted) return;
    this.#cancelToCome = undefined;
    this.applyCancel(cancel);
  }

  notice(notice: Notice): void {
    if (this.ended || notice.seq <= this.noticesSeen) return;
    this.noticesSeen = notice.seq;
    this.#suspension.noticed();
    this.whenLive(() => {
      react(this, notice.what);
      this.planIdleCheck();
    });
  }

  /** From now on waits end early and the signals fire. */
  applyCancel(cancel: CancelledError): void {
    if (this.cancel !== undefined || this.#finishing) return;
    this.cancel = cancel;
    this.#cancelToCome = undefined;
    this.#aborts.cancel(cancel);
    this.waits.cancelAll(cancel);
  }

  mayStartStep(): boolean {
    if (this.#givingBack) this.planIdleCheck();
    return !this.#givingBack && !this.ended && !this.#finishing;
  }

  /** No new step; when none runs any more the lease goes back to its line. */
  giveBack(): void {
    this.#givingBack = true;
    this.planIdleCheck();
  }

  /** Looks whether the run has nothing left to do here, when the workflow has gone as far as it can. */
  planIdleCheck(): void {
    if (this.#idlePlanned || this.ended) return;
    this.#idlePlanned = true;
    this.ports.defer(() => {
      this.#idlePlanned = false;
      this.#checkIdle();
    });
  }

  #checkIdle(): void {
    if (this.ended || this.#finishing || !this.#started) return;
    if (this.journal.replaying) return this.planIdleCheck();
    if (this.#cancelToCome !== undefined) {
      // The code took another way than the history: what it did not ask for will not be handed over any more.
      this.applyCancel(this.#cancelToCome);
      return this.planIdleCheck();
    }
    if (this.stepsRunning > 0 || this.outcomesPending > 0) return;
    if (this.#givingBack) return this.release(0);
    if (this.cancel === undefined && !this.#suspension.blocked && this.waits.allLong()) this.#suspension.begin();
  }

  #complete(output: unknown): void {
    if (this.ended || this.#finishing) return;
    let encoded: { payload: Payload | undefined; bytes: number };
    try {
      encoded = encodeWithin(this.codec, output, () => `the output of run ${this.runId}`, this.payloadBytesMax);
    } catch (error) {
      return this.fail(error);
    }
    this.#finish([frames.completeRun(encoded.payload)], encoded.bytes);
  }

  /** Ends the run with what the workflow threw. */
  fail(error: unknown): void {
    if (this.ended || this.#finishing) return;
    if (this.cancel !== undefined && carriesCancel(error)) return this.#finish([frames.cancelledRun()], 0);
    const failure = toFailure(error);
    const steps = failedSteps(error)
      .filter((key) => this.failedSteps.has(key))
      .slice(0, failedStepsMax);
    this.#finish([frames.failRun(failure, steps)], failureBytes(failure));
  }

  #finish(changes: Change[], bytes: number): void {
    this.#finishing = true;
    this.pipe.submit(changes, bytes, {
      applied: () => this.end(),
      refused: (refusal) => {
        this.#finishing = false;
        if (refusal.reason !== ErrorReason.PAYLOAD_TOO_LARGE)
          return this.abandon(`end was refused: ${refusal.message}`);
        this.fail(new PayloadTooLargeError(refusal.message));
      },
    });
  }

  /** The code asks for something else than the history holds: no catch block may go on from here. */
  mismatched(error: NonDeterminismError): void {
    this.whenLive(() => this.fail(error));
  }

  /** Something that only a bug or a lost message explains: a replay sorts it out. */
  abandon(why: string): void {
    if (this.ended) return;
    this.#host.log("error", `run ${this.runId} is given back: ${why}`);
    this.#aborts.lose(new LeaseLostError(this.runId, why));
    this.release(abandonedRetryMs);
  }

  /** The worker stops and cannot wait for the steps that still run. */
  stop(): void {
    if (this.ended) return;
    this.#aborts.lose(new LeaseLostError(this.runId, "the worker stops"));
    this.release(0);
  }

  release(retryAfterMs: number): void {
    if (this.ended) return;
    this.#host.release(this, retryAfterMs);
    this.end();
  }

  /** The lease is gone: handlers stop, nothing more is sent. */
  lost(why: string): void {
    if (this.ended) return;
    this.#end(false);
    this.#aborts.lose(new LeaseLostError(this.runId, why));
  }

  /** The lease ended as it should: what waits for the stream still leaves. */
  end(): void {
    this.#end(true);
  }

  #end(flush: boolean): void {
    if (this.ended) return;
    this.ended = true;
    this.pipe.close({ flush });
    this.waits.drop();
    for (const attempt of [...this.timed]) attempt.drop();
    this.#suspension.drop();
    if (this.stepsRunning > 0) this.#aborts.lose(new LeaseLostError(this.runId, "it has ended"));
    this.#host.ended(this);
  }
}
