import type { LeaseEndReason } from "../core/event.ts";
import { payloadBytes } from "../core/payload.ts";
import {
  assignmentSignalBytes,
  journalChunkBytesMax,
  outboxAssignmentsMax,
  outboxBytesMax,
  outboxItemsMax,
  outboxStallMs,
  pageSizeMax,
  unacceptedMax,
} from "../limits.ts";
import type { StreamSink } from "./api.ts";
import { type GrantPlan, giveAssignment, unlessCorrupt } from "./assignment.ts";
import { createFeed, type Feed } from "./feed.ts";
import type { GoAwayReason, LostLease, Notice, ServerFrame } from "./frames.ts";
import { noticeOf } from "./journal.ts";
import { type Kernel, sessionIntervals } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";
import type { OpSource } from "./op-work.ts";
import { createOutbox, frameBytes, type Lane, type Outbox } from "./outbox.ts";
import type { Group, Taker } from "./takers.ts";

// A session is a worker's logical connection; a stream is what carries it for a while.
//
//   new --Hello--> ACTIVE --stream lost--> DETACHED --Hello--> ACTIVE
//                  ACTIVE --Drain--> DRAINING --Goodbye--> CLOSED       DETACHED --grace over--> CLOSED
//
// A detached session keeps its leases to their TTL: most cuts are proxies ageing a stream out, and giving the run to
// somebody else would do work twice. The epoch, not a timer, is what makes this safe.

/** One stream, with what waits for it to be read. */
export interface Stream {
  readonly outbox: Outbox;
  readonly feed: Feed;
  readonly sink: StreamSink;
  lastFrameAtMs: number;
  /** When it was asked for a sign. */
  pingedAtMs: number;
  lastTakenAtMs: number;
  ended: boolean;
  /** Its Welcome was written: until then nothing but a GoAway goes out on it. */
  welcomed: boolean;
}

export function createStream(kernel: Kernel, sink: StreamSink, onHanded: (leaseId: string) => void): Stream {
  const nowMs = kernel.clock.elapsedMs();
  const outbox = createOutbox({ onHanded, onReady: () => sink.wake() });
  return {
    outbox,
    feed: createFeed(outbox),
    sink,
    lastFrameAtMs: nowMs,
    pingedAtMs: Number.NEGATIVE_INFINITY,
    lastTakenAtMs: nowMs,
    ended: false,
    welcomed: false,
  };
}

/** Takes the last frame, lets what waits be read, then ends. */
export function endStream(stream: Stream, last?: ServerFrame): void {
  if (stream.ended) return;
  stream.ended = true;
  if (last !== undefined) stream.outbox.push(last, "urgent", frameBytes);
  stream.outbox.seal();
  stream.sink.end();
}

export function goAway(reason: GoAwayReason, message: string, reconnectAfterMs: number, jitterMs: number): ServerFrame {
  return { kind: "goAway", reason, reconnectAfterMs, jitterMs, message };
}

export interface SessionHooks {
  /** Its stream is gone. */
  detached(session: Session): void;
  /** The end of its last lease is durable. */
  leaseless(session: Session): void;
}

export class Session implements Taker {
  readonly leases = new Set<LiveLease>();
  group: Group | undefined;
  bucket = -1;
  capacity = 0;
  phase: "active" | "detached" | "draining" | "closed" = "detached";
  stream: Stream | undefined;
  /** Offers in a row that a live stream left unaccepted; at the limit it gets no more until it accepts or says Hello. */
  strikes = 0;
  /** Grows with each lost stream: tells the grace of this one from that of an earlier one. */
  detachments = 0;

  readonly sessionId: string;
  readonly resumeToken: string;
  readonly namespace: string;
  readonly instanceId: string;
  readonly identity: string;
  readonly requestId = "";
  readonly leaseTtlMs: number;
  readonly opSource: OpSource;
  private readonly kernel: Kernel;
  private readonly hooks: SessionHooks;

  constructor(
    kernel: Kernel,
    about: { sessionId: string; resumeToken: string; namespace: string; instanceId: string; identity: string },
    hooks: SessionHooks,
  ) {
    this.kernel = kernel;
    this.hooks = hooks;
    this.sessionId = about.sessionId;
    this.resumeToken = about.resumeToken;
    this.namespace = about.namespace;
    this.instanceId = about.instanceId;
    this.identity = about.identity;
    this.leaseTtlMs = kernel.settings.leaseTtlMs;
    this.opSource = { namespace: about.namespace, onSession: true };
  }

  assignable(): boolean {
    const { stream } = this;
    if (this.phase !== "active" || stream === undefined || this.strikes >= unacceptedMax) return false;
    return stream.outbox.assignments < outboxAssignmentsMax && stream.feed.open;
  }

  push(frame: ServerFrame, lane: Lane = "urgent", bytes = frameBytes): void {
    const { stream } = this;
    if (stream === undefined || stream.ended) return;
    if (!stream.welcomed && frame.kind !== "goAway") return;
    if (stream.outbox.length === 0) stream.lastTakenAtMs = this.kernel.clock.elapsedMs();
    stream.outbox.push(frame, lane, bytes);
    if (stream.outbox.bytes > outboxBytesMax || stream.outbox.length > outboxItemsMax) this.cutOff(stream);
  }

  /** A stream that does not read is cut; the session and its leases go on without it. */
  cutOff(stream: Stream): void {
    this.kernel.counters.slowConsumers += 1;
    this.kernel.log.warn({ session: this.sessionId, waiting: stream.outbox.length }, "a slow stream is cut off");
    const { reconnectAfterMs, jitterMs } = { reconnectAfterMs: 1_000, jitterMs: 1_000 };
    endStream(stream, goAway("SLOW_CONSUMER", "the stream was not read in time", reconnectAfterMs, jitterMs));
    this.detach(stream);
  }

  /** The stream is gone. What was never handed over goes to others at once. */
  detach(stream: Stream): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    if (this.phase === "active" || this.phase === "draining") this.phase = "detached";
    this.detachments += 1;
    this.kernel.takers.update(this);
    for (const lease of [...this.leases]) {
      if (lease.phase === "offered" && !lease.handed)
        this.kernel.leaseLife.end(lease, "UNDELIVERED", { uncounted: true });
    }
    this.hooks.detached(this);
  }

  deliver(lease: LiveLease, plan: GrantPlan): boolean {
    const { stream } = this;
    if (stream?.welcomed !== true || stream.ended || this.phase !== "active") return false;
    lease.catchingUp = true;
    // What has to wait is read from the file in its turn, not kept in memory.
    const due: GrantPlan = stream.feed.open ? plan : { ...plan, history: undefined, undurable: [] };
    stream.feed.whenRoom(() => this.give(stream, lease, due));
    return true;
  }

  private give(stream: Stream, lease: LiveLease, plan: GrantPlan): void {
    const wanted = () => !lease.ending && this.stream === stream;
    if (!wanted()) return;
    let throughSeq = plan.grantedSeq;
    giveAssignment(this.kernel, lease, plan, {
      signalBytesMax: assignmentSignalBytes,
      assign: (assignment, bytes) => {
        throughSeq = assignment.journalThrough;
        this.push({ kind: "assign", assignment }, "assign", frameBytes + bytes);
      },
      chunk: (journal, continues, bytes) =>
        new Promise<void>((given) => {
          stream.feed.whenRoom(() => {
            const frame: ServerFrame = { kind: "journalChunk", leaseId: lease.leaseId, journal, continues };
            if (wanted()) this.push(frame, "assign", frameBytes + bytes);
            given();
          });
        }),
      complete: () => {
        if (wanted()) this.catchUp(stream, lease, throughSeq);
      },
      wanted,
    });
  }

  /**
   * Gives the notices behind `afterSeq`, from the file, as fast as the stream takes them. Up to the grant these are the
   * open signals that found no room in the assignment. One that is being told just now may come twice: its seq tells.
   */
  catchUp(stream: Stream, lease: LiveLease, afterSeq: number): void {
    const throughSeq = Math.max(lease.lastNoticeSeq, lease.grantedSeq);
    lease.catchingUp = afterSeq < throughSeq;
    if (!lease.catchingUp) return;
    stream.feed.whenRoom(() => unlessCorrupt(() => this.giveNotices(stream, lease, afterSeq)));
  }

  private giveNotices(stream: Stream, lease: LiveLease, afterSeq: number): void {
    if (lease.ending || this.stream !== stream) return;
    const { state } = lease.entry;
    const page = { afterSeq, limit: pageSizeMax, bytesMax: journalChunkBytesMax, throughSeq: lease.grantedSeq };
    const events = this.kernel.store.readEvents(state.runNo, page);
    const last = events.at(-1);
    lease.catchingUp = false;
    for (const event of events) {
      if (event.seq <= lease.grantedSeq && !state.signals.some(({ seq }) => seq === event.seq)) continue;
      const notice = noticeOf(event, lease.leaseId, this.kernel.time.nowMs());
      if (notice !== undefined) this.pushNotice(lease, notice);
    }
    if (last !== undefined) this.catchUp(stream, lease, last.seq);
  }

  /** Its Assign went to the transport: from now on the worker has the accept timeout to answer. */
  handed(lease: LiveLease): void {
    lease.handed = true;
    const { stream, kernel } = this;
    const timeoutMs = sessionIntervals(this.leaseTtlMs).acceptTimeoutMs;
    lease.cancelAccept = kernel.alarms.set(kernel.clock.elapsedMs() + timeoutMs, () => {
      lease.cancelAccept = undefined;
      if (lease.phase !== "offered" || lease.ending) return;
      const live = stream !== undefined && this.stream === stream;
      if (live) this.strike();
      kernel.leaseLife.end(lease, "UNACCEPTED", { uncounted: live, unless: () => lease.phase !== "offered" });
    });
  }

  private strike(): void {
    this.strikes += 1;
    this.kernel.takers.update(this);
    if (this.strikes !== unacceptedMax) return;
    this.kernel.log.warn(
      { worker: this.identity },
      "a worker accepts nothing: no more work for it until it accepts or says Hello",
    );
  }

  /** The worker spoke of this lease as its own. Only an acceptance clears its strikes: speaking of others does not. */
  holds(lease: LiveLease): void {
    lease.cancelAccept?.();
    lease.cancelAccept = undefined;
    if (lease.phase !== "offered") return;
    lease.phase = "held";
    if (this.strikes < unacceptedMax) this.strikes = 0;
  }

  /** It answers offers again, if late: a worker that stood still is not deaf for ever. */
  accepts(): void {
    this.strikes = 0;
  }

  notice(lease: LiveLease, notice: Notice): void {
    const { stream } = this;
    if (stream === undefined || lease.catchingUp) return;
    if (stream.feed.open) this.pushNotice(lease, notice);
    else this.catchUp(stream, lease, notice.seq - 1);
  }

  private pushNotice(lease: LiveLease, notice: Notice): void {
    const { what } = notice;
    const bytes = what.kind === "signal" ? payloadBytes(what.signal.payload) : 0;
    const behind = this.stream?.outbox.holdsAssignment(lease.leaseId) === true;
    this.push({ kind: "notice", notice }, behind ? "assign" : "urgent", frameBytes + bytes);
  }

  ended(lease: LiveLease, reason: LeaseEndReason, byHolder: boolean): void {
    if (!byHolder && this.stream !== undefined) {
      this.stream.outbox.withdraw(lease.leaseId);
      // What never left is not known to the worker.
      if (lease.handed) this.revoke({ leaseId: lease.leaseId, reason });
    }
    if (this.leases.size === 0) this.hooks.leaseless(this);
  }

  revoke(lost: LostLease): void {
    this.push({ kind: "revoke", lost });
  }

  /** Room in the outbox or in the capacity may have come back. */
  roomChanged(): void {
    this.kernel.takers.update(this);
    if (this.bucket >= 0) this.kernel.writer.nudge();
  }

  /** True when the stream has not been read, or not been spoken on, for too long. */
  checkStream(intervals: { pingAfterMs: number; silenceMs: number }): "ok" | "ping" | "stalled" | "silent" {
    const { stream } = this;
    if (stream === undefined) return "ok";
    const nowMs = this.kernel.clock.elapsedMs();
    if (stream.outbox.length > 0 && nowMs - stream.lastTakenAtMs > outboxStallMs) return "stalled";
    const silentMs = nowMs - stream.lastFrameAtMs;
    if (silentMs <= intervals.pingAfterMs) return "ok";
    // A server that stood still has not read what was said: nobody is given up who was not asked.
    if (silentMs > intervals.silenceMs && stream.pingedAtMs > stream.lastFrameAtMs) return "silent";
    stream.pingedAtMs = nowMs;
    return "ping";
  }
}
