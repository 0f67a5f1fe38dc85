import { EngineError, refuse } from "../core/errors.ts";
import type { LeaseEndReason } from "../core/event.ts";
import { messageBytesMax, probeIntervalMs, waitersMax } from "../limits.ts";
import type { AcquireRequest } from "./api.ts";
import { type GrantPlan, giveAssignment, planAssignment } from "./assignment.ts";
import type { Assignment, JournalEntry, Notice } from "./frames.ts";
import type { Kernel } from "./kernel.ts";
import { type LiveLease, requestKeyOf } from "./leases.ts";
import type { Group, Taker } from "./takers.ts";

// AcquireLease: a taker with room for one, matched like every session. It stays among the takers until it got a run,
// its wait is over or its caller is gone.

/** A journal that one message cannot carry is cut here; the caller reads the rest from the history. */
const journalBytesMax = messageBytesMax - 2 * 1024 * 1024;

export interface Acquires {
  acquire(request: AcquireRequest, signal: AbortSignal): Promise<Assignment | undefined>;
  /** Lets all that wait go empty-handed. */
  endAll(): void;
}

class Acquirer implements Taker {
  readonly namespace: string;
  readonly identity: string;
  readonly instanceId = "";
  readonly requestId: string;
  readonly leaseTtlMs: number;
  readonly leases = new Set<LiveLease>();
  readonly capacity = 1;
  group: Group | undefined;
  bucket = -1;
  open = true;
  readonly onDelivered: (lease: LiveLease, plan: GrantPlan) => boolean;
  onEnded: (lease: LiveLease) => void = () => {};

  constructor(kernel: Kernel, request: AcquireRequest, onDelivered: (lease: LiveLease, plan: GrantPlan) => boolean) {
    this.namespace = request.namespace;
    this.identity = request.workerId;
    this.requestId = request.requestId;
    this.leaseTtlMs = request.leaseTtlMs === 0 ? kernel.settings.leaseTtlMs : request.leaseTtlMs;
    this.onDelivered = onDelivered;
  }
  assignable(): boolean {
    return this.open;
  }
  deliver(lease: LiveLease, plan: GrantPlan): boolean {
    return this.onDelivered(lease, plan);
  }
  notice(_lease: LiveLease, _notice: Notice): void {
    // Its next answer carries it.
  }
  ended(lease: LiveLease, _reason: LeaseEndReason, _byHolder: boolean): void {
    // A caller that has its answer is refused LEASE_LOST with its next call.
    this.onEnded(lease);
  }
}

export function createAcquires(kernel: Kernel): Acquires {
  const waiting = new Set<() => void>();
  /** Those of `waiting` that have a request_id. */
  const byRequest = new Map<string, () => void>();

  function acquire(request: AcquireRequest, signal: AbortSignal): Promise<Assignment | undefined> {
    if (waiting.size >= waitersMax) {
      throw new EngineError(refuse("BUSY", `${waitersMax} acquires are waiting`, { retryAfterMs: 1_000 }));
    }
    const { namespace, workerId, requestId } = request;
    const requestKey = requestKeyOf(namespace, workerId, requestId);
    return new Promise((resolve, reject) => {
      let settled = false;
      let cancelAlarm: (() => void) | undefined;
      const taker = new Acquirer(kernel, request, (lease, plan) => {
        if (settled) return false;
        lease.phase = "held";
        lease.handed = true;
        collect(kernel, lease, plan, (assignment) => {
          if (settled) kernel.leaseLife.end(lease, "UNDELIVERED", { uncounted: true });
          else finish(() => resolve(assignment));
        });
        return true;
      });
      function finish(answer: () => void): void {
        if (settled) return;
        settled = true;
        taker.open = false;
        kernel.takers.leave(taker);
        waiting.delete(giveUp);
        if (byRequest.get(requestKey) === giveUp) byRequest.delete(requestKey);
        cancelAlarm?.();
        signal.removeEventListener("abort", giveUp);
        answer();
      }
      function giveUp(): void {
        finish(() => resolve(undefined));
      }
      // The lease was over before it could be handed over: nothing else would end this call.
      taker.onEnded = giveUp;
      if (signal.aborted) return resolve(undefined);
      waiting.add(giveUp);
      signal.addEventListener("abort", giveUp);
      kernel.writer.submit({
        run(transaction) {
          if (settled) return;
          if (kernel.writer.state === "full") transaction.claimWrite();
          const known = requestId === "" ? undefined : kernel.leases.ofRequest(namespace, workerId, requestId);
          if (known !== undefined && !known.ending) {
            // Planned now: what is decided between now and then may not be durable when this is.
            const plan = planAssignment(known.entry);
            return transaction.after(() => giveAgain(known, plan));
          }
          if (requestId !== "") {
            // Asked again while it waits: as with streams, the newest call is the one that is listened to.
            const earlier = byRequest.get(requestKey);
            if (earlier !== giveUp) earlier?.();
            byRequest.set(requestKey, giveUp);
          }
          // Decided again behind a failed commit, it is among them already.
          if (taker.group === undefined) kernel.takers.join(taker, request);
          transaction.after(() => {
            if (settled || taker.leases.size > 0) return;
            if (request.waitMs === 0) return giveUp();
            endAfter(request.waitMs);
          });
        },
        refuse: (refusal) => finish(() => reject(new EngineError(refusal))),
      });
      /** A grant that is being committed is still handed over; should its commit fail, nothing else ends this call. */
      function endAfter(ms: number): void {
        cancelAlarm = kernel.alarms.set(kernel.clock.elapsedMs() + ms, () => {
          if (taker.leases.size === 0) giveUp();
          else endAfter(probeIntervalMs);
        });
      }
      /** The same worker_id and request_id get the same live lease: the answer was lost. */
      function giveAgain(lease: LiveLease, plan: GrantPlan): void {
        collect(kernel, lease, plan, (assignment) => finish(() => resolve(assignment)));
      }
    });
  }

  return {
    acquire,
    endAll() {
      for (const giveUp of [...waiting]) giveUp();
    },
  };
}

/** The whole assignment in one piece. */
function collect(kernel: Kernel, lease: LiveLease, plan: GrantPlan, done: (assignment: Assignment) => void): void {
  let assignment: Assignment | undefined;
  const journal: JournalEntry[] = [];
  let bytes = 0;
  let cut = false;
  giveAssignment(kernel, lease, plan, {
    signalBytesMax: journalBytesMax / 2,
    assign(first, firstBytes) {
      assignment = first;
      journal.push(...first.journal);
      bytes = firstBytes;
    },
    chunk(more, _continues, moreBytes) {
      bytes += moreBytes;
      if (bytes > journalBytesMax) cut = true;
      else journal.push(...more);
    },
    complete() {
      if (assignment !== undefined) done({ ...assignment, journal, journalContinues: cut });
    },
    wanted: () => !lease.ending && !cut,
  });
}
