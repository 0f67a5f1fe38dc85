import type { EndLease } from "../core/command.ts";
import { decide } from "../core/decide.ts";
import type { LeaseEndReason } from "../core/event.ts";
import { probeIntervalMs } from "../limits.ts";
import { decideContext, type Kernel } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";
import { readPayload } from "./run-events.ts";

// How long a lease lives, and how the server ends one. Renewals only move an instant in memory; the alarm of a lease
// asks for it when it rings. An end is a command like any other: decided in the writer's order, told when durable.

export interface LeaseLife {
  /** Starts or moves the lease's time. */
  renew(lease: LiveLease, ttlMs?: number): void;
  /** Sets the alarm; once for each lease. */
  watch(lease: LiveLease): void;
  /** Ends it for the server, whatever its holder does meanwhile; `unless` is asked again when it is decided. */
  end(lease: LiveLease, reason: LeaseEndReason, options: { uncounted: boolean; unless?: () => boolean }): void;
  /** The process stood still: nobody could renew, so everybody gets a fresh TTL. */
  forgiveAll(): void;
}

export function createLeaseLife(kernel: Kernel): LeaseLife {
  const { clock } = kernel;

  function ring(lease: LiveLease): void {
    lease.cancelAlarm = undefined;
    if (kernel.leases.get(lease.leaseId) !== lease) return;
    if (clock.elapsedMs() < lease.expiresAtMs) return watch(lease);
    // Should the end be refused (a full disk, a full mailbox), it is tried again, and not at once: the loop that makes
    // room must get its turn.
    lease.cancelAlarm = kernel.alarms.set(clock.elapsedMs() + probeIntervalMs, () => ring(lease));
    const unread = lease.phase === "offered" && !lease.handed;
    const reason = lease.phase === "orphaned" ? "RESTART" : unread ? "UNDELIVERED" : "EXPIRED";
    end(lease, reason, {
      uncounted: reason !== "EXPIRED",
      unless: () => clock.elapsedMs() < lease.expiresAtMs,
    });
  }
  function watch(lease: LiveLease): void {
    lease.cancelAlarm?.();
    lease.cancelAlarm = kernel.alarms.set(lease.expiresAtMs, () => ring(lease));
  }
  function end(
    lease: LiveLease,
    reason: LeaseEndReason,
    { uncounted, unless }: { uncounted: boolean; unless?: () => boolean },
  ): void {
    kernel.writer.submit({
      run(transaction) {
        const { entry } = lease;
        if (lease.ending || kernel.leases.get(lease.leaseId) !== lease || unless?.() === true) return;
        const command: EndLease = { type: "EndLease", leaseId: lease.leaseId, reason, uncounted };
        const decision = decide(
          entry.state,
          command,
          decideContext(kernel, (seq) => readPayload(kernel.store, entry, seq)),
        );
        if (decision.kind !== "accepted") return;
        kernel.recorder.record(transaction, entry, decision.events);
        if (reason === "EXPIRED") kernel.counters.expiries += 1;
        if (reason === "UNDELIVERED") kernel.counters.undelivered += 1;
        if (reason === "UNACCEPTED") kernel.counters.unaccepted += 1;
      },
      // Parked: the expiry alarm, which each lease of the ledger has, brings it back.
      refuse() {},
    });
  }
  return {
    renew(lease, ttlMs = lease.ttlMs) {
      lease.expiresAtMs = clock.elapsedMs() + ttlMs;
    },
    watch,
    end,
    forgiveAll() {
      const nowMs = clock.elapsedMs();
      for (const lease of kernel.leases.all()) lease.expiresAtMs = Math.max(lease.expiresAtMs, nowMs + lease.ttlMs);
    },
  };
}
