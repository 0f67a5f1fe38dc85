import { type Refusal, refuse } from "../core/errors.ts";
import { payloadBytes } from "../core/payload.ts";
import { helloTimeoutMs, sessionLinesMax, sessionsMax } from "../limits.ts";
import type { OpRequest, SessionHandle, StreamSink } from "./api.ts";
import type { Hello, LeaseHandle, OpOutcome, ResolvedNote, ServerFrame } from "./frames.ts";
import { adoptHeld, endUnlisted, giveUp, welcome } from "./hello.ts";
import { HelloGate } from "./hello-gate.ts";
import { type Kernel, sessionIntervals } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";
import { submitInvalidOp, submitOp } from "./op-work.ts";
import { frameBytes } from "./outbox.ts";
import { createStream, endStream, goAway, Session, type Stream } from "./session.ts";
import { releaseLease } from "./lease-commands.ts";

// All sessions of the server, and what each frame of a worker does. Beats are answered at once; everything that says
// something of a run goes through the writer and is answered when it is durable.

export interface Sessions {
  open(sink: StreamSink): SessionHandle;
  /** Workers are told to go away; nothing more is assigned. */
  drain(): void;
  /** Ends every stream. */
  endAll(): void;
  readonly size: number;
}

const protocolVersion = 1;

export function createSessions(kernel: Kernel): Sessions {
  const byInstance = new Map<string, Session>();
  const streams = new Set<Stream>();
  const gate = new HelloGate();
  let draining = false;

  function instanceKey(namespace: string, instanceId: string): string {
    return `${namespace}\u0000${instanceId}`;
  }

  function close(session: Session): void {
    session.phase = "closed";
    kernel.takers.leave(session);
    const key = instanceKey(session.namespace, session.instanceId);
    if (byInstance.get(key) === session) byInstance.delete(key);
  }

  /** A detached session is forgotten when its grace is over; its leases live on to their TTL. */
  function closeWhenGone(session: Session): void {
    const { graceMs } = sessionIntervals(session.leaseTtlMs);
    const { detachments } = session;
    kernel.alarms.set(kernel.clock.elapsedMs() + graceMs, () => {
      if (session.phase === "detached" && session.detachments === detachments) close(session);
    });
  }

  /** A server that stops has nothing more for who holds nothing: the stream ends behind the answers under way. */
  function endWhenDone(session: Session): void {
    const { stream } = session;
    if (!draining || stream === undefined) return;
    const done = () => {
      if (session.leases.size > 0) return;
      endStream(stream);
      session.detach(stream);
    };
    kernel.writer.submit({ run: (transaction) => transaction.after(done), refuse: done });
  }

  function tellToGo(session: Session): void {
    if (session.phase === "active") session.phase = "draining";
    kernel.takers.update(session);
    session.push(goAway("SHUTDOWN", "the server is stopping", 1_000, 1_000));
    endWhenDone(session);
  }

  /** Looks after a stream for as long as it carries its session. */
  function watchStream(session: Session, stream: Stream): void {
    const intervals = sessionIntervals(session.leaseTtlMs);
    kernel.alarms.set(kernel.clock.elapsedMs() + intervals.streamCheckMs, () => {
      if (session.stream !== stream) return;
      switch (session.checkStream(intervals)) {
        case "stalled":
          session.cutOff(stream);
          return;
        case "silent":
          endStream(stream, goAway("SLOW_CONSUMER", `nothing was heard for ${intervals.silenceMs} ms`, 0, 1_000));
          session.detach(stream);
          return;
        case "ping":
          session.push({ kind: "ping", nonce: Math.floor(kernel.clock.elapsedMs()) });
      }
      watchStream(session, stream);
    });
  }

  function greet(stream: Stream, hello: Hello): Session {
    const key = instanceKey(hello.namespace, hello.instanceId);
    const earlier = byInstance.get(key);
    if (earlier?.stream !== undefined && earlier.stream !== stream) {
      const old = earlier.stream;
      endStream(old, goAway("SUPERSEDED", "another stream of this worker said Hello", 0, 0));
      earlier.detach(old);
    }
    const { resume } = hello;
    const resumed =
      earlier !== undefined && resume?.sessionId === earlier.sessionId && resume.resumeToken === earlier.resumeToken;
    if (earlier !== undefined) kernel.takers.leave(earlier);
    if (earlier !== undefined && !resumed) close(earlier);
    const session = resumed
      ? earlier
      : new Session(
          kernel,
          {
            sessionId: kernel.random.hex(8),
            resumeToken: kernel.random.hex(16),
            namespace: hello.namespace,
            instanceId: hello.instanceId,
            identity: hello.identity === "" ? hello.instanceId : hello.identity,
          },
          { detached: closeWhenGone, leaseless: endWhenDone },
        );
    session.phase = "active";
    session.stream = stream;
    session.strikes = 0;
    session.capacity = hello.capacity;
    byInstance.set(key, session);
    return session;
  }

  function open(sink: StreamSink): SessionHandle {
    let session: Session | undefined;
    let greeting: Hello | undefined;
    /** Frames that came between Hello and its decision. */
    let backlog: ((session: Session) => void)[] = [];
    const stream: Stream = createStream(kernel, sink, (leaseId) => {
      const lease = kernel.leases.get(leaseId);
      if (lease !== undefined && session !== undefined) session.handed(lease);
    });
    streams.add(stream);
    const cancelHelloTimeout = kernel.alarms.set(kernel.clock.elapsedMs() + helloTimeoutMs, () => {
      if (greeting === undefined) end(goAway("PROTOCOL", `no Hello came within ${helloTimeoutMs} ms`, 0, 1_000));
    });

    function end(last?: ServerFrame): void {
      cancelHelloTimeout();
      streams.delete(stream);
      endStream(stream, last);
    }
    function refuseFrame(refusal: Refusal): void {
      stream.outbox.push({ kind: "frameRefused", refusal }, "urgent", frameBytes);
    }
    /** Runs now, or behind the Hello that is being decided; without a Hello the stream ends. */
    function greeted(run: (session: Session) => void): void {
      stream.lastFrameAtMs = kernel.clock.elapsedMs();
      if (session !== undefined) {
        if (session.stream === stream) run(session);
        return;
      }
      if (greeting !== undefined) {
        backlog.push(run);
        return;
      }
      refuseFrame(refuse("PROTOCOL", "the first frame of a stream must be Hello", { field: "frame" }));
      end();
    }
    function liveOf(holder: Session, handle: { leaseId: string; epoch: number }): LiveLease | undefined {
      const lease = kernel.leases.get(handle.leaseId);
      return lease !== undefined && lease.taker === holder && lease.epoch === handle.epoch && !lease.ending
        ? lease
        : undefined;
    }
    function answerOp(outcome: OpOutcome, { opId, lease }: Pick<OpRequest, "opId" | "lease">): void {
      if (session?.stream !== stream) return;
      const bytes = frameBytes + (outcome.kind === "applied" ? noteBytes(outcome.notes) : 0);
      session.push({ kind: "opResult", result: { opId, leaseId: lease.leaseId, outcome } }, "urgent", bytes);
    }
    function takeOp(holder: Session, op: OpRequest): void {
      const lease = liveOf(holder, op.lease);
      if (lease?.phase === "offered") holder.holds(lease);
      submitOp(kernel, holder.opSource, op, answerOp);
    }

    return {
      hello(hello) {
        stream.lastFrameAtMs = kernel.clock.elapsedMs();
        if (greeting !== undefined) {
          return refuseFrame(refuse("PROTOCOL", "this stream has said Hello already", { field: "frame" }));
        }
        if (hello.protocolVersion !== protocolVersion) {
          const text = `protocol version ${hello.protocolVersion} is not spoken here; ${protocolVersion} is`;
          refuseFrame(refuse("VERSION_UNSUPPORTED", text, { field: "protocol_version" }));
          return end();
        }
        const lines = hello.queues.length * Math.max(1, hello.workflows.length);
        if (lines > sessionLinesMax) {
          const text = `queues times workflows is ${lines}, the limit is ${sessionLinesMax}`;
          refuseFrame(refuse("INVALID", text, { field: "queues" }));
          return end();
        }
        greeting = hello;
        cancelHelloTimeout();
        kernel.counters.hellos += 1;
        if (draining) return end(goAway("SHUTDOWN", "the server is stopping", 1_000, 1_000));
        if (byInstance.size >= sessionsMax) {
          return end(goAway("OVERLOAD", `${sessionsMax} workers are here already`, 10_000, 1_000));
        }
        const later = gate.enter(kernel.clock.elapsedMs());
        if (later !== undefined) {
          kernel.counters.hellosPutOff += 1;
          return end(goAway("OVERLOAD", "too many workers say Hello at once", later.afterMs, later.jitterMs));
        }
        kernel.writer.submit({
          run(transaction) {
            if (stream.ended) return;
            const now = greet(stream, hello);
            session = now;
            const { verdicts, kept } = adoptHeld(kernel, now, hello);
            endUnlisted(kernel, now, kept);
            kernel.takers.join(now, hello);
            watchStream(now, stream);
            const frame = welcome(
              kernel,
              now,
              hello.resume !== undefined && now.sessionId === hello.resume.sessionId,
              verdicts,
            );
            transaction.after(() => {
              if (now.stream !== stream) return;
              stream.welcomed = true;
              now.push(frame);
              if (draining && now.phase === "active") tellToGo(now);
              for (const [lease, noticesSeen] of kept) now.catchUp(stream, lease, noticesSeen);
              const waiting = backlog;
              backlog = [];
              for (const run of waiting) if (now.stream === stream) run(now);
            });
          },
          refuse(refusal) {
            end(goAway("OVERLOAD", refusal.message, Math.max(refusal.retryAfterMs, 100), 1_000));
            session?.detach(stream);
          },
        });
      },
      capacity(capacity) {
        greeted((holder) => {
          holder.capacity = capacity;
          holder.roomChanged();
        });
      },
      accept(leases) {
        greeted((holder) => {
          if (leases.length > 0) holder.accepts();
          for (const handle of leases) {
            const lease = liveOf(holder, handle);
            if (lease !== undefined) holder.holds(lease);
            else if (kernel.leases.get(handle.leaseId)?.ending !== true) {
              holder.revoke({ leaseId: handle.leaseId, reason: "EXPIRED" });
            }
          }
          holder.roomChanged();
        });
      },
      release(leases, retryAfterMs) {
        greeted((holder) => {
          for (const lease of leases) {
            releaseLease(kernel, { namespace: holder.namespace, lease, retryAfterMs }, (refusal) => {
              if (refusal?.reason === "LEASE_LOST") holder.revoke({ leaseId: lease.leaseId, reason: "EXPIRED" });
            });
          }
        });
      },
      op(op) {
        // As `greeted` does, without a closure: of all frames only ops come by the hundred.
        if (session === undefined) return greeted((holder) => takeOp(holder, op));
        stream.lastFrameAtMs = kernel.clock.elapsedMs();
        if (session.stream === stream) takeOp(session, op);
      },
      invalidOp(opId, lease: LeaseHandle, refusal) {
        greeted(() =>
          submitInvalidOp(kernel, { lease, opId }, refusal, (outcome) => answerOp(outcome, { opId, lease })),
        );
      },
      beat(beatSeq, held) {
        greeted((holder) => {
          const lost: { leaseId: string; reason: "EXPIRED" }[] = [];
          for (const handle of held) {
            const lease = kernel.leases.get(handle.leaseId);
            if (lease === undefined || lease.epoch !== handle.epoch || lease.taker !== holder) {
              lost.push({ leaseId: handle.leaseId, reason: "EXPIRED" });
            } else if (!lease.ending) {
              holder.holds(lease);
              kernel.leaseLife.renew(lease);
            }
          }
          holder.push({ kind: "beatAck", beatSeq, expiresInMs: holder.leaseTtlMs, lost }, "urgent", frameBytes);
        });
      },
      drain() {
        greeted((holder) => {
          if (holder.phase === "active") holder.phase = "draining";
          kernel.takers.update(holder);
          for (const lease of [...holder.leases]) {
            if (lease.phase !== "offered" || lease.handed) continue;
            kernel.leaseLife.end(lease, "UNDELIVERED", { uncounted: true });
          }
          const done = () => holder.push({ kind: "drainAck" }, "assign");
          kernel.writer.submit({ run: (transaction) => transaction.after(done), refuse: done });
        });
      },
      goodbye() {
        greeted((holder) => {
          for (const lease of [...holder.leases]) giveUp(kernel, lease);
          close(holder);
          const done = () => end();
          kernel.writer.submit({ run: (transaction) => transaction.after(done), refuse: done });
        });
      },
      pong() {
        greeted(() => {});
      },
      invalidFrame(refusal) {
        greeted(() => refuseFrame(refusal));
      },
      halfClosed() {
        const done = () => {
          end();
          session?.detach(stream);
        };
        kernel.writer.submit({ run: (transaction) => transaction.after(done), refuse: done });
      },
      closed() {
        end();
        session?.detach(stream);
      },
      take(bytesMax) {
        const frames = stream.outbox.take(bytesMax);
        stream.lastTakenAtMs = kernel.clock.elapsedMs();
        if (frames.length === 0) return frames;
        stream.feed.pump();
        if (session !== undefined && session.bucket < 0) session.roomChanged();
        return frames;
      },
    };
  }

  return {
    open,
    drain() {
      draining = true;
      for (const session of byInstance.values()) tellToGo(session);
    },
    endAll() {
      for (const stream of [...streams]) endStream(stream);
      streams.clear();
    },
    get size() {
      return byInstance.size;
    },
  };
}

/** Payloads count: a result may carry one for each of its changes. */
function noteBytes(notes: readonly ResolvedNote[]): number {
  let bytes = 0;
  for (const note of notes) {
    bytes += frameBytes;
    if (note.kind === "signal") bytes += payloadBytes(note.payload);
    else if (note.kind === "stored") bytes += payloadBytes(note.output);
  }
  return bytes;
}
