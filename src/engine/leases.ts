import type { LeaseEndReason } from "../core/event.ts";
import type { RunEntry } from "./run-table.ts";
import type { Taker } from "./takers.ts";

// The ledger of live leases: what the file does not hold about them. The file says who may write (epoch, lease_id);
// this says until when, and to whom it was pushed. A session's used capacity is the size of its set here: nothing is
// counted, so nothing can leak.
//
// A lease goes granting -> offered -> held. "granting": decided, not durable, so not pushed. "offered": durable, in
// the outbox or on the wire. "held": the worker said Accept, or an op, or listed it. After a restart a lease of the
// file is "orphaned" until a Hello lists it. It leaves the ledger when its end is durable; until then `ending` is set.

export interface LiveLease {
  readonly leaseId: string;
  entry: RunEntry;
  readonly epoch: number;
  readonly namespace: string;
  readonly runId: string;
  readonly instanceId: string;
  readonly grantedSeq: number;
  ttlMs: number;
  phase: "granting" | "offered" | "held" | "orphaned";
  /** Its end was decided and is not durable. */
  ending: boolean;
  /** Who holds it; undefined for orphans. */
  taker: Taker | undefined;
  /** Elapsed instant at which it ends unless renewed. */
  expiresAtMs: number;
  /** The last op that was refused and not acknowledged; 0 when none. */
  refusedOpId: number;
  /** Seq of the newest event that is a notice to it; 0 when none. */
  lastNoticeSeq: number;
  /** Why it is ending; undefined while it lives. */
  endReason: LeaseEndReason | undefined;
  /** True once its Assign went to the transport. */
  handed: boolean;
  /** Its assignment or earlier notices are still being given: later notices are read from the file in their turn. */
  catchingUp: boolean;
  /** Where the ledger finds it by the request_id of its acquire; empty when it had none. */
  requestKey: string;
  /** Takes back the alarm of its offer. */
  cancelAccept: (() => void) | undefined;
  /** Takes back the alarm of its expiry. */
  cancelAlarm: (() => void) | undefined;
}

export interface Leases {
  get(leaseId: string): LiveLease | undefined;
  ofRun(runNo: number): LiveLease | undefined;
  add(lease: LiveLease): void;
  /** Its end is durable. */
  remove(lease: LiveLease): void;
  all(): IterableIterator<LiveLease>;
  /** Leases granted to one worker instance, whether or not it has said so since. */
  ofInstance(instanceId: string): ReadonlySet<LiveLease>;
  /** The live lease that an acquire with this request_id got. */
  ofRequest(namespace: string, workerId: string, requestId: string): LiveLease | undefined;
  clear(): void;
  readonly size: number;
}

/** What an acquire is known by when it is asked again. */
export function requestKeyOf(namespace: string, workerId: string, requestId: string): string {
  return `${namespace}\u0000${workerId}\u0000${requestId}`;
}

export function createLeases(): Leases {
  const byId = new Map<string, LiveLease>();
  const byRun = new Map<number, LiveLease>();
  const byInstance = new Map<string, Set<LiveLease>>();
  const byRequest = new Map<string, LiveLease>();
  const none: ReadonlySet<LiveLease> = new Set();
  return {
    get: (leaseId) => byId.get(leaseId),
    ofRun: (runNo) => byRun.get(runNo),
    add(lease) {
      byId.set(lease.leaseId, lease);
      byRun.set(lease.entry.state.runNo, lease);
      const { lease: state } = lease.entry.state;
      if (state !== undefined && state.requestId !== "") {
        lease.requestKey = requestKeyOf(lease.namespace, state.workerId, state.requestId);
        byRequest.set(lease.requestKey, lease);
      }
      if (lease.instanceId === "") return;
      const mates = byInstance.get(lease.instanceId);
      if (mates === undefined) byInstance.set(lease.instanceId, new Set([lease]));
      else mates.add(lease);
    },
    remove(lease) {
      byId.delete(lease.leaseId);
      const mates = byInstance.get(lease.instanceId);
      mates?.delete(lease);
      if (mates?.size === 0) byInstance.delete(lease.instanceId);
      if (byRun.get(lease.entry.state.runNo) === lease) byRun.delete(lease.entry.state.runNo);
      if (lease.requestKey !== "" && byRequest.get(lease.requestKey) === lease) byRequest.delete(lease.requestKey);
      lease.cancelAlarm?.();
      lease.cancelAlarm = undefined;
      lease.cancelAccept?.();
      lease.cancelAccept = undefined;
    },
    all: () => byId.values(),
    ofInstance: (instanceId) => byInstance.get(instanceId) ?? none,
    ofRequest: (namespace, workerId, requestId) => byRequest.get(requestKeyOf(namespace, workerId, requestId)),
    clear() {
      byId.clear();
      byRequest.clear();
      byRun.clear();
      byInstance.clear();
    },
    get size() {
      return byId.size;
    },
  };
}
