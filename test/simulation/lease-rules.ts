import type { EventDetails, LeaseEndReason } from "../../src/core/event.ts";
import { deliveriesMax } from "../../src/limits.ts";

// What may end a lease, how often a run may be granted without getting on, and how long an assignment that nobody was
// told of may stay with the server. Each rule answers with what is broken.

interface LiveLease {
  readonly runId: string;
  readonly instanceId: string;
  readonly grantedAtMs: number;
  /** The life of the server that granted it. */
  readonly life: number;
  /** The assignment left the server. */
  told: boolean;
}

const uncountedReasons: ReadonlySet<LeaseEndReason> = new Set(["UNDELIVERED", "UNACCEPTED", "RESTART"]);
const byHolder: ReadonlySet<LeaseEndReason> = new Set(["DONE", "SUSPENDED", "RELEASED"]);

/** Two commits of a quick disk, with room: an end that is due takes no longer. */
const promptMs = 1_000;

export class LeaseRules {
  readonly #live = new Map<string, LiveLease>();
  /** The lease that an acquire with this worker and request_id got. */
  readonly #requests = new Map<string, string>();
  readonly #deliveries = new Map<string, number>();
  /** Leases that their holder asked to end, with how. */
  readonly #asked = new Set<string>();
  /** What each worker instance listed in its last Hello; nothing after a Goodbye. */
  readonly #listed = new Map<string, ReadonlySet<string>>();
  readonly #streamLostAtMs = new Map<string, number>();
  readonly #nowMs: () => number;
  /** Leases that ended RELEASED and that their holder's last Hello no longer listed. */
  readonly givenUp = new Set<string>();
  life = 0;
  /** Until then the server or its disk could not do what it should. */
  disturbedUntilMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  askedToEnd(leaseId: string, reason: "DONE" | "SUSPENDED" | "RELEASED"): void {
    this.#asked.add(`${leaseId} ${reason}`);
  }
  listed(instanceId: string, leaseIds: readonly string[]): void {
    this.#listed.set(instanceId, new Set(leaseIds));
  }
  streamLost(instanceId: string): void {
    this.#streamLostAtMs.set(instanceId, this.#nowMs());
  }
  told(leaseId: string): void {
    const lease = this.#live.get(leaseId);
    if (lease !== undefined) lease.told = true;
  }
  isLive(leaseId: string): boolean {
    return this.#live.has(leaseId);
  }

  granted(runId: string, detail: EventDetails["LeaseGranted"]): string | undefined {
    const { leaseId, instanceId = "", workerId, requestId = "" } = detail;
    const deliveries = (this.#deliveries.get(runId) ?? 0) + 1;
    this.#deliveries.set(runId, deliveries);
    this.#live.set(leaseId, { runId, instanceId, grantedAtMs: this.#nowMs(), life: this.life, told: false });
    if (requestId !== "") {
      const request = `${workerId} ${requestId}`;
      const other = this.#requests.get(request);
      if (other !== undefined && this.#live.has(other)) return `I11 ${request} gets a second lease`;
      this.#requests.set(request, leaseId);
    }
    return deliveries > deliveriesMax ? `I9 grant ${deliveries} without progress` : undefined;
  }

  ended(leaseId: string, { reason, uncounted }: EventDetails["LeaseEnded"]): string | undefined {
    const lease = this.#live.get(leaseId);
    this.#live.delete(leaseId);
    if (lease === undefined) return undefined;
    if (this.#gaveUp(leaseId, lease, reason)) this.givenUp.add(leaseId);
    if (uncounted === true) {
      if (!uncountedReasons.has(reason)) return `I9 a lease that ends ${reason} is not counted`;
      this.#deliveries.set(lease.runId, Math.max(0, (this.#deliveries.get(lease.runId) ?? 0) - 1));
    }
    if (byHolder.has(reason) && !this.#asked.has(`${leaseId} ${reason}`) && !this.givenUp.has(leaseId)) {
      return `I5 ended ${reason}, and its holder did not ask for it`;
    }
    return this.#late(lease, reason);
  }

  #gaveUp(leaseId: string, { instanceId }: LiveLease, reason: LeaseEndReason): boolean {
    const listed = this.#listed.get(instanceId);
    return reason === "RELEASED" && listed !== undefined && !listed.has(leaseId);
  }

  /** An assignment that is with nobody is taken back when its stream is gone; it does not wait for the lease's time. */
  #late(lease: LiveLease, reason: LeaseEndReason): string | undefined {
    if (lease.told || lease.life !== this.life || (reason !== "UNDELIVERED" && reason !== "EXPIRED")) return undefined;
    const lostAtMs = this.#streamLostAtMs.get(lease.instanceId) ?? 0;
    const lateMs = this.#nowMs() - Math.max(lease.grantedAtMs, lostAtMs, this.disturbedUntilMs);
    return lateMs > promptMs
      ? `I12 ended ${reason} ${Math.round(lateMs)} ms after nobody could be told of it`
      : undefined;
  }

  /** Grants since the run got on. */
  deliveries(runId: string): number {
    return this.#deliveries.get(runId) ?? 0;
  }

  /** A result, a consumed signal, a suspend that waits, or an operator's word. */
  progress(runId: string): void {
    this.#deliveries.set(runId, 0);
  }
}
