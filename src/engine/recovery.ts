import { sessionIntervals } from "./kernel.ts";
import { liveLease } from "./granting.ts";
import type { Kernel } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";

// What has to be in memory: the leased runs, and the ledger of their leases. The same code at start-up and after a
// failed commit. At start nobody holds anything; after a failed commit the leases of the file keep their holders and
// their clocks, grants that never became durable are forgotten without a word, and discarded ends are taken back.

export function recover(kernel: Kernel): void {
  const earlier = new Map([...kernel.leases.all()].map((lease) => [lease.leaseId, lease]));
  kernel.runs.clear();
  kernel.runKeys.reset();
  kernel.leases.clear();
  const nowMs = kernel.clock.elapsedMs();
  for (const row of kernel.store.listLeased()) {
    const entry = kernel.runs.get(row.runNo);
    if (entry?.state.lease === undefined) continue;
    const { leaseId, ttlMs } = entry.state.lease;
    const kept = earlier.get(leaseId);
    earlier.delete(leaseId);
    if (kept !== undefined) {
      kept.entry = entry;
      revive(kernel, kept);
      continue;
    }
    const lease = liveLease(entry, nowMs + ttlMs + sessionIntervals(ttlMs).graceMs);
    kernel.leases.add(lease);
    kernel.leaseLife.watch(lease);
  }
  for (const discarded of earlier.values()) forget(kernel, discarded);
  kernel.lines.reset();
  kernel.deadlines.reset();
}

function revive(kernel: Kernel, lease: LiveLease): void {
  lease.ending = false;
  lease.endReason = undefined;
  kernel.leases.add(lease);
  if (lease.taker !== undefined && lease.phase !== "orphaned") {
    lease.taker.leases.add(lease);
    kernel.takers.update(lease.taker);
  }
  kernel.leaseLife.watch(lease);
}

/** Its grant was discarded and never pushed. */
function forget(kernel: Kernel, lease: LiveLease): void {
  lease.ending = true;
  lease.cancelAlarm?.();
  lease.cancelAccept?.();
  const { taker } = lease;
  if (taker === undefined) return;
  taker.leases.delete(lease);
  kernel.takers.update(taker);
}
