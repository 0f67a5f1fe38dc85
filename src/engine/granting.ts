import type { Grant } from "../core/command.ts";
import { decide } from "../core/decide.ts";
import type { LeaseEndReason, RunEvent } from "../core/event.ts";
import { loadTogetherMax } from "../limits.ts";
import { planAssignment, readAhead } from "./assignment.ts";
import { noticeOf } from "./journal.ts";
import { decideContext, type Kernel } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";
import { compareHeads, type Line } from "./lines.ts";
import type { RecorderHooks } from "./recorder.ts";
import type { RunEntry } from "./run-table.ts";
import type { Taker } from "./takers.ts";
import type { Transaction } from "./transaction.ts";

// Matching and what follows from it. Runs once for each batch, before it is committed: so a run that is started while
// somebody has room is granted in the same commit, and one fsync lies between the start and the push.

/** Grants of one batch, so that a wave of capacity does not make one huge transaction. */
const grantsMax = 4_096;

export function grantWhatMatches(kernel: Kernel, transaction: Transaction): void {
  for (let granted = 0; granted < grantsMax; granted++) {
    const match = kernel.takers.match();
    if (match === undefined) return;
    const { line, head, taker } = match;
    if (kernel.runs.peek(head.runNo) === undefined) loadTogether(kernel, line, taker);
    const entry = kernel.runs.get(head.runNo);
    if (entry === undefined || !entry.inLine || entry.rank !== head.rank || entry.corrupt) {
      // A window entry that nothing stands behind any more; the overlay keeps a refill from bringing it back.
      kernel.lines.leave(line, head.runNo, head.rank, transaction.commitNo);
      continue;
    }
    if (!grant(kernel, transaction, entry, taker)) {
      kernel.lines.leave(line, head.runNo, head.rank, transaction.commitNo);
    }
  }
  kernel.writer.nudge();
}

/**
 * The runs of a long line were queued too long ago to be in memory. Those that there is room for are read together,
 * once: what one read leaves out is looked for by itself.
 */
function loadTogether(kernel: Kernel, line: Line, taker: Taker): void {
  const [head] = line.heads;
  const { loadedThrough } = line;
  if (head === undefined || (loadedThrough !== undefined && compareHeads(head, loadedThrough) <= 0)) return;
  const next = line.heads.slice(0, Math.min(loadTogetherMax, kernel.takers.shareOf(line, taker)));
  line.loadedThrough = next.at(-1);
  kernel.runs.loadUngranted(next.map(({ runNo }) => runNo));
}

function grant(kernel: Kernel, transaction: Transaction, entry: RunEntry, taker: Taker): boolean {
  const command: Grant = {
    type: "Grant",
    leaseId: kernel.random.hex(16),
    ttlMs: taker.leaseTtlMs,
    workerId: taker.identity,
    instanceId: taker.instanceId,
    requestId: taker.requestId,
  };
  const decision = decide(
    entry.state,
    command,
    decideContext(kernel, () => undefined),
  );
  if (decision.kind !== "accepted") return false;
  kernel.recorder.record(transaction, entry, decision.events);
  const { lease: granted } = entry.state;
  if (granted?.leaseId !== command.leaseId) return true;
  const lease: LiveLease = {
    ...liveLease(entry, kernel.clock.elapsedMs() + taker.leaseTtlMs),
    phase: "granting",
    taker,
  };
  kernel.leases.add(lease);
  taker.leases.add(lease);
  kernel.takers.update(taker);
  kernel.counters.grants += 1;
  const plan = planAssignment(entry);
  entry.created = undefined;
  transaction.beside(() => readAhead(kernel, lease, plan));
  transaction.after(() => {
    if (lease.ending || kernel.leases.get(lease.leaseId) !== lease) return;
    lease.phase = "offered";
    kernel.leaseLife.renew(lease);
    kernel.leaseLife.watch(lease);
    if (lease.taker?.deliver(lease, plan) === true) return;
    kernel.leaseLife.end(lease, "UNDELIVERED", { uncounted: true });
  });
  return true;
}

/** The ledger's side of the lease that a run has by its events. */
export function liveLease(entry: RunEntry, expiresAtMs: number): LiveLease {
  const { state } = entry;
  const { lease } = state;
  if (lease === undefined) throw new Error(`run ${state.runId} has no lease`);
  return {
    leaseId: lease.leaseId,
    entry,
    epoch: lease.epoch,
    namespace: state.namespace,
    runId: state.runId,
    instanceId: lease.instanceId,
    grantedSeq: lease.grantedSeq,
    ttlMs: lease.ttlMs,
    phase: "orphaned",
    ending: false,
    endReason: undefined,
    handed: false,
    catchingUp: false,
    taker: undefined,
    expiresAtMs,
    refusedOpId: 0,
    lastNoticeSeq: state.lastSeq > lease.grantedSeq ? state.lastSeq : 0,
    requestKey: "",
    cancelAccept: undefined,
    cancelAlarm: undefined,
  };
}

const endsByHolder: ReadonlySet<LeaseEndReason> = new Set(["DONE", "SUSPENDED", "RELEASED"]);

/** What the recorder tells of leases, passed on to their holders. */
export function leaseHooks(kernel: () => Kernel): RecorderHooks {
  return {
    leaseEnding(lease: LiveLease, reason: LeaseEndReason) {
      lease.endReason = reason;
      const { taker } = lease;
      if (taker === undefined) return;
      taker.leases.delete(lease);
      kernel().takers.update(taker);
    },
    leaseEnded(lease: LiveLease, reason: LeaseEndReason) {
      kernel().leases.remove(lease);
      lease.taker?.ended(lease, reason, endsByHolder.has(reason));
    },
    notice(lease: LiveLease, event: RunEvent) {
      const notice = noticeOf(event, lease.leaseId, kernel().time.nowMs());
      if (notice === undefined || lease.taker === undefined || lease.ending) return;
      lease.taker.notice(lease, notice);
    },
  };
}
