import { sessionIntervals } from "./kernel.ts";
import type { Kernel } from "./kernel.ts";
import type { Hello, ServerFrame, Verdict } from "./frames.ts";
import type { LiveLease } from "./leases.ts";
import type { Session } from "./session.ts";
import { frameOpsMax } from "../limits.ts";

// What a Hello settles: which leases the worker keeps, and which of its own it has forgotten. `held` is complete, so
// a lease of the same worker instance that it does not list is nobody's and ends at once.

/** Takes over the leases that the worker lists; gives the verdicts. */
export function adoptHeld(
  kernel: Kernel,
  session: Session,
  hello: Hello,
): { verdicts: Verdict[]; kept: Map<LiveLease, number> } {
  const verdicts: Verdict[] = [];
  const kept = new Map<LiveLease, number>();
  for (const { lease: handle, noticesSeen, lastRefusedOpId } of hello.held) {
    const lease = kernel.leases.get(handle.leaseId);
    const valid =
      lease !== undefined &&
      !lease.ending &&
      lease.phase !== "granting" &&
      lease.epoch === handle.epoch &&
      lease.runId === handle.runId &&
      lease.namespace === session.namespace;
    if (!valid) {
      verdicts.push({ leaseId: handle.leaseId, kept: false, lostReason: lease?.endReason ?? "EXPIRED", lastOpId: 0 });
      continue;
    }
    if (lease.taker !== undefined && lease.taker !== session) {
      lease.taker.leases.delete(lease);
      kernel.takers.update(lease.taker);
    }
    lease.taker = session;
    session.leases.add(lease);
    lease.phase = "held";
    lease.handed = true;
    // Its notices follow the Welcome, in their order: one told before would make the older ones look seen.
    lease.catchingUp = true;
    lease.refusedOpId = lastRefusedOpId;
    lease.cancelAccept?.();
    lease.cancelAccept = undefined;
    kernel.leaseLife.renew(lease);
    kept.set(lease, noticesSeen);
    verdicts.push({ leaseId: handle.leaseId, kept: true, lostReason: undefined, lastOpId: lease.entry.state.lastOpId });
  }
  return { verdicts, kept };
}

/** Ends what this worker instance was granted in the session's namespace and does not speak for. */
export function endUnlisted(kernel: Kernel, session: Session, kept: ReadonlyMap<LiveLease, number>): void {
  for (const lease of [...kernel.leases.ofInstance(session.instanceId)]) {
    if (lease.namespace === session.namespace && !kept.has(lease)) giveUp(kernel, lease);
  }
}

/** Ends a lease whose holder will not go on with it, for what it was when he left. */
export function giveUp(kernel: Kernel, lease: LiveLease): void {
  const { leaseLife } = kernel;
  if (lease.ending || lease.phase === "granting") return;
  switch (lease.phase) {
    case "orphaned":
      return leaseLife.end(lease, "RESTART", { uncounted: true });
    case "offered":
      if (lease.handed) return leaseLife.end(lease, "UNACCEPTED", { uncounted: false });
      return leaseLife.end(lease, "UNDELIVERED", { uncounted: true });
    default:
      leaseLife.end(lease, "RELEASED", { uncounted: false });
  }
}

export function welcome(kernel: Kernel, session: Session, resumed: boolean, verdicts: Verdict[]): ServerFrame {
  const { leaseTtlMs, payloadBytesMax } = kernel.settings;
  const { beatIntervalMs, watchdogMs, acceptTimeoutMs } = sessionIntervals(leaseTtlMs);
  return {
    kind: "welcome",
    sessionId: session.sessionId,
    resumeToken: session.resumeToken,
    resumed,
    settings: { leaseTtlMs, beatIntervalMs, watchdogMs, acceptTimeoutMs, payloadBytesMax, frameOpsMax },
    verdicts,
  };
}
