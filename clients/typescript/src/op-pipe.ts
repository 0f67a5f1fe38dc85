// The ops of one lease, in order. Results come back in the order of the ops.
//
// flowing: an op gets its id and goes to the outbox. After a refusal the server refuses all later ops of the lease
// (PRECEDING_FAILED) until one acknowledges it, so the pipe is
// held: new ops are parked, ops in flight are awaited; when none is left, what was refused for that reason or may
// succeed later goes out again, in order, and the first new id acknowledges the refusal. The pipe flows again.
import type { Change, Op, OpApplied, OpRefusal, OpResult } from "../../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import type { Lease } from "../../../gen/ts/everstep/v1/lease_pb.ts";
import { busyBackoff, fullJitterMs } from "./backoff.ts";
import { opBytes } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import type { Clock, TimerHandle } from "./ports.ts";

export interface OpHandlers {
  applied?(applied: OpApplied): void;
  /** Refused for good: the pipe goes on without it. */
  refused(refusal: OpRefusal): void;
  /** An earlier op was refused. Without this the op is sent again as it is. */
  precedingFailed?(): void;
  /**
   * What it adds to the run. Once one of its kind was refused because the run is being paused or its history is full,
   * the pipe refuses the others by itself, in the server's words.
   */
  readonly adds?: Adds | undefined;
}

export type Adds = "start" | "timer" | "signal" | "result";

export class OutgoingOp {
  readonly lease: Lease;
  readonly changes: Change[];
  readonly bytes: number;
  readonly handlers: OpHandlers;
  opId = 0;
  afterRefused = 0;
  sent = false;

  constructor(lease: Lease, changes: Change[], bytes: number, handlers: OpHandlers) {
    this.lease = lease;
    this.changes = changes;
    this.bytes = bytes + lease.runId.length + opBytes;
    this.handlers = handlers;
  }

  leave(): Op {
    this.sent = true;
    return {
      $typeName: "everstep.v1.Op",
      opId: BigInt(this.opId),
      lease: this.lease,
      changes: this.changes,
      afterRefused: BigInt(this.afterRefused),
    };
  }
}

export interface PipeContext {
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: () => number;
  /** The lease is gone. */
  lost(why: string): void;
  /** Something that only a bug explains: give the run back and let a replay sort it out. */
  abandon(why: string): void;
}

export class OpPipe {
  readonly #lease: Lease;
  readonly #context: PipeContext;
  #inFlight: OutgoingOp[] = [];
  #parked: OutgoingOp[] = [];
  #again: OutgoingOp[] = [];
  #held = false;
  #renumber = false;
  #closed = false;
  #lastOpId = 0;
  /** The refusal that no op has acknowledged yet, and the newest one ever. */
  #unacknowledged = 0;
  #lastRefused = 0;
  #busyCount = 0;
  /**
   * Why the first of a kind was refused, once the run is being paused or its history is full. Every later one of this
   * lease would be, with a round trip for each and a refusal for all ops behind it: results, and the end of the run,
   * would wait for as many round trips.
   */
  readonly #noMore = new Map<Adds | undefined, OpRefusal>();
  #pause: TimerHandle | undefined;

  constructor(lease: Lease, context: PipeContext) {
    this.#lease = lease;
    this.#context = context;
  }

  /** For Hello: lets a restarted server refuse what it would have refused before. */
  get lastRefusedOpId(): number {
    return this.#unacknowledged;
  }

  get flowing(): boolean {
    return !this.#held;
  }

  submit(changes: Change[], bytes: number, handlers: OpHandlers): void {
    if (this.#closed) return;
    const op = new OutgoingOp(this.#lease, changes, bytes, handlers);
    const noMore = this.#noMore.get(handlers.adds);
    if (noMore !== undefined) handlers.refused(noMore);
    else if (this.#held) this.#parked.push(op);
    else this.#send(op);
  }

  #send(op: OutgoingOp): void {
    if (op.opId === 0) op.opId = ++this.#lastOpId;
    if (this.#unacknowledged !== 0 && op.opId !== this.#unacknowledged) {
      op.afterRefused = this.#unacknowledged;
      this.#unacknowledged = 0;
    }
    op.sent = false;
    this.#inFlight.push(op);
    this.#context.outbox.enqueue(op);
  }

  /** After a resume: repeats are recognised by their op_id, so everything without a result is sent again. */
  resend(): void {
    for (const op of this.#inFlight) {
      op.sent = false;
      this.#context.outbox.enqueue(op);
    }
  }

  settle(result: OpResult): void {
    const opId = Number(result.opId);
    const index = this.#inFlight[0]?.opId === opId ? 0 : this.#inFlight.findIndex((op) => op.opId === opId);
    const op = this.#inFlight[index];
    if (op === undefined || this.#closed) return; // a second result, after a resend
    if (index === 0) this.#inFlight.shift();
    else this.#inFlight.splice(index, 1);

    if (result.result.case === "applied") {
      if (op.opId === this.#unacknowledged) this.#unacknowledged = 0;
      this.#busyCount = 0;
      op.handlers.applied?.(result.result.value);
    } else if (result.result.case === "refused") {
      this.#refuse(op, result.result.value);
    } else {
      this.#context.abandon("an op result says neither applied nor refused");
    }
    this.#flowIfSettled();
  }

  #refuse(op: OutgoingOp, refusal: OpRefusal): void {
    switch (true) {
      case refusal.leaseLost || refusal.reason === ErrorReason.LEASE_LOST || refusal.reason === ErrorReason.RUN_CLOSED:
        return this.#context.lost(refusal.message || "an op was refused");
      case refusal.reason === ErrorReason.PRECEDING_FAILED:
        if (!this.#held) this.#hold(this.#lastRefused, this.#nextBusyDelayMs());
        if (op.handlers.precedingFailed !== undefined) op.handlers.precedingFailed();
        else this.#again.push(op);
        return;
      case refusal.reason === ErrorReason.OP_OUT_OF_ORDER:
        // An op that changed nothing leaves no trace, so its repeat after a resume may come too late: give it a new id.
        // Those behind it get new ids too, or they would come too late in turn.
        this.#hold(op.opId);
        this.#renumber = true;
        this.#again.push(op);
        return;
      case isTransient(refusal):
        // Many that were refused together are one reason to wait, not many.
        this.#hold(op.opId, this.#pause ? 0 : Math.max(Number(refusal.retryAfterMs), this.#nextBusyDelayMs()));
        this.#again.push(op);
        return;
      case refusal.reason === ErrorReason.OP_CONFLICT || refusal.reason === ErrorReason.INTERNAL:
        return this.#context.abandon(refusal.message);
      default:
        if (op.handlers.adds !== undefined && endsItsKind(refusal)) this.#noMore.set(op.handlers.adds, refusal);
        this.#hold(op.opId);
        op.handlers.refused(refusal);
    }
  }

  #nextBusyDelayMs(): number {
    return fullJitterMs(++this.#busyCount, busyBackoff, this.#context.random);
  }

  #hold(refusedOpId: number, delayMs = 0): void {
    this.#unacknowledged = this.#lastRefused = refusedOpId;
    this.#held = true;
    const unsent = this.#inFlight.filter((op) => !op.sent);
    for (const op of unsent) this.#context.outbox.remove(op);
    this.#parked = [...unsent, ...this.#parked];
    this.#inFlight = this.#inFlight.filter((op) => op.sent);
    if (delayMs === 0) return;
    this.#pause?.cancel();
    this.#pause = this.#context.clock.setTimer(delayMs, () => {
      this.#pause = undefined;
      this.#flowIfSettled();
    });
  }

  #flowIfSettled(): void {
    if (!this.#held || this.#inFlight.length > 0 || this.#pause !== undefined || this.#closed) return;
    const waiting = [...this.#again, ...this.#parked];
    this.#again = [];
    this.#parked = [];
    this.#held = false;
    const refused: OutgoingOp[] = [];
    for (const op of waiting) {
      if (this.#noMore.has(op.handlers.adds)) {
        refused.push(op);
        continue;
      }
      if (this.#renumber) op.opId = 0;
      this.#send(op);
    }
    this.#renumber = false;
    for (const { handlers } of refused) handlers.refused(this.#noMore.get(handlers.adds) as OpRefusal);
  }

  /** The lease ended: nothing more is sent or heard. Ops that wait in the outbox for the stream still leave if `flush`. */
  close(options: { flush: boolean }): void {
    this.#closed = true;
    this.#pause?.cancel();
    if (!options.flush) for (const op of this.#inFlight) if (!op.sent) this.#context.outbox.remove(op);
    this.#inFlight = [];
    this.#parked = [];
    this.#again = [];
  }
}

function endsItsKind({ reason }: OpRefusal): boolean {
  return reason === ErrorReason.RUN_PAUSED || reason === ErrorReason.HISTORY_LIMIT;
}

/** Refused now, welcome later, with nothing for the workflow to decide. */
function isTransient(refusal: OpRefusal): boolean {
  switch (refusal.reason) {
    case ErrorReason.BUSY:
    case ErrorReason.DISK_FULL:
    case ErrorReason.SHUTTING_DOWN:
      return true;
    case ErrorReason.NOTICES_PENDING:
    case ErrorReason.RUN_PAUSED:
      return false;
    default:
      return refusal.retryable;
  }
}
