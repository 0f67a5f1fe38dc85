// All leases that the worker holds: finds the run that a frame speaks of, and ends leases that nobody confirmed in
// time. A lease counts from the moment its beat was sent, and is over a beat interval before the server thinks so.
import type { Lease } from "../../../gen/ts/everstep/v1/lease_pb.ts";
import { LeaseEndReason } from "../../../gen/ts/everstep/v1/lease_pb.ts";
import type {
  Assignment,
  BeatLease,
  HeldLease,
  JournalChunk,
  LostLease,
  Notice,
  OpResults,
  Verdict,
} from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { enumName } from "./enum-name.ts";
import { LeaseRun } from "./lease-run.ts";
import type { RunBody, RunHost } from "./run-host.ts";
import { watchdogMsDefault } from "./limits.ts";
import type { TimerHandle } from "./ports.ts";

interface SentBeat {
  readonly sentAtMs: number;
  readonly runs: readonly LeaseRun[];
}

export class Leases {
  readonly #host: RunHost;
  readonly #runs = new Map<string, LeaseRun>();
  readonly #beats = new Map<bigint, SentBeat>();
  #listed: LeaseRun[] = [];
  #listedAtMs = 0;
  #expiry: TimerHandle | undefined;
  /** Five sixths of the TTL (Welcome). */
  trustMs = watchdogMsDefault;

  constructor(host: RunHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** Undefined for a lease that is held already. */
  add(assignment: Assignment, body: RunBody): LeaseRun | undefined {
    const key = leaseKey(assignment.lease?.leaseId ?? noBytes);
    if (this.#runs.has(key)) return undefined;
    const run = new LeaseRun(this.#host, assignment, key, body);
    run.confirmedAtMs = this.#host.ports.clock.nowMs();
    this.#runs.set(key, run);
    this.#planExpiry();
    run.addJournal(assignment.journal, assignment.journalContinues);
    return run;
  }

  remove(run: LeaseRun): void {
    this.#runs.delete(run.leaseKey);
  }

  all(): LeaseRun[] {
    return [...this.#runs.values()];
  }

  chunk(chunk: JournalChunk): void {
    this.#runs.get(leaseKey(chunk.leaseId))?.addJournal(chunk.journal, chunk.continues);
  }

  settle(results: OpResults): void {
    const nowMs = this.#host.ports.clock.nowMs();
    for (const result of results.results) {
      const run = this.#runs.get(leaseKey(result.leaseId));
      // Who stood still may read an answer before its timers ring: it is no leave to go on behind the end of the lease.
      if (run !== undefined && !this.#expire(run, nowMs)) run.settle(result);
    }
  }

  notice(notices: readonly Notice[]): void {
    for (const notice of notices) this.#runs.get(leaseKey(notice.leaseId))?.notice(notice);
  }

  lost(leases: readonly LostLease[]): void {
    for (const { leaseId, reason } of leases) this.#runs.get(leaseKey(leaseId))?.lost(nameOf(reason));
  }

  /** A journal that was cut off will not be continued: its lease is not listed, so the server grants it anew. */
  dropIncomplete(): void {
    for (const run of this.all()) if (!run.started) run.lost("its journal was cut off");
    this.#beats.clear();
  }

  /** For Hello. */
  held(): HeldLease[] {
    this.#listed = this.all();
    this.#listedAtMs = this.#host.ports.clock.nowMs();
    return this.#listed.map((run) => ({
      $typeName: "everstep.v1.HeldLease",
      lease: run.assignment.lease as Lease,
      noticesSeen: run.noticesSeen,
      lastRefusedOpId: BigInt(run.pipe.lastRefusedOpId),
    }));
  }

  /** After Welcome: what is kept was renewed by Hello, as by a beat, and sends again whatever has no result. */
  judge(verdicts: readonly Verdict[]): void {
    const kept = new Set<string>();
    for (const { leaseId, kept: isKept, lostReason } of verdicts) {
      const key = leaseKey(leaseId);
      if (isKept) kept.add(key);
      else this.#runs.get(key)?.lost(nameOf(lostReason));
    }
    for (const run of this.all()) {
      if (kept.has(run.leaseKey)) {
        run.confirmedAtMs = this.#listedAtMs;
        run.pipe.resend();
      } else run.lost("the server does not know it");
    }
    // Given back between Hello and Welcome: the server does not know that yet.
    for (const run of this.#listed) {
      if (run.ended && kept.has(run.leaseKey)) this.#host.release(run, 0);
    }
    this.#listed = [];
    // Welcome may have named another time to trust a lease for.
    this.#expiry?.cancel();
    this.#expiry = undefined;
    this.#planExpiry();
  }

  beat(beatSeq: bigint): BeatLease[] {
    const runs = this.all();
    this.#beats.set(beatSeq, { sentAtMs: this.#host.ports.clock.nowMs(), runs });
    return runs.map((run) => ({
      $typeName: "everstep.v1.BeatLease",
      leaseId: (run.assignment.lease as Lease).leaseId,
      epoch: (run.assignment.lease as Lease).epoch,
      noticesSeen: run.noticesSeen,
    }));
  }

  beatAcked(beatSeq: bigint, lost: readonly LostLease[]): void {
    this.lost(lost);
    const beat = this.#beats.get(beatSeq);
    if (beat !== undefined) for (const run of beat.runs) run.confirmedAtMs = beat.sentAtMs;
    for (const seq of this.#beats.keys()) if (seq <= beatSeq) this.#beats.delete(seq);
  }

  #planExpiry(): void {
    if (this.#expiry !== undefined || this.#runs.size === 0) return;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const run of this.#runs.values()) oldestMs = Math.min(oldestMs, run.confirmedAtMs);
    const delayMs = Math.max(1, oldestMs + this.trustMs - this.#host.ports.clock.nowMs());
    this.#expiry = this.#host.ports.clock.setTimer(delayMs, () => {
      this.#expiry = undefined;
      const nowMs = this.#host.ports.clock.nowMs();
      for (const run of this.all()) this.#expire(run, nowMs);
      this.#planExpiry();
    });
  }

  /** True when the lease is not trusted any more. */
  #expire(run: LeaseRun, nowMs: number): boolean {
    if (nowMs - run.confirmedAtMs < this.trustMs) return false;
    run.lost("nobody confirmed it in time");
    return true;
  }

  close(): void {
    this.#expiry?.cancel();
    this.#expiry = undefined;
    this.#beats.clear();
  }
}

const noBytes = new Uint8Array(0);

function leaseKey(leaseId: Uint8Array): string {
  return Buffer.from(leaseId.buffer, leaseId.byteOffset, leaseId.byteLength).toString("latin1");
}

function nameOf(reason: LeaseEndReason): string {
  return enumName(LeaseEndReason, reason);
}
