import { decide } from "../core/decide.ts";
import { leaseLost } from "../core/decide-lease.ts";
import { EngineError, type Refusal, refuse } from "../core/errors.ts";
import type { Change, ExtendLease, ReleaseLease } from "../core/command.ts";
import { pageBytesMax, pageSizeMax } from "../limits.ts";
import type { ClaimedRef, LeasedRef, UnaryOp } from "./api.ts";
import { unlessCorrupt } from "./assignment.ts";
import { resolveLease } from "./claims.ts";
import type { Notice, OpApplied } from "./frames.ts";
import { noticeOf } from "./journal.ts";
import { decideContext, type Kernel } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";
import { submitClaimedOp, submitOp } from "./op-work.ts";
import { readPayload } from "./run-events.ts";
import type { RunEntry } from "./run-table.ts";

// The calls of a worker without a stream: the same commands as a session's frames, one by one.

function leasedEntry(kernel: Kernel, ref: LeasedRef): RunEntry {
  const live = kernel.leases.get(ref.lease.leaseId);
  if (live !== undefined && live.runId === ref.lease.runId && live.namespace === ref.namespace) return live.entry;
  const entry = kernel.runs.find(ref.namespace, ref.lease.runId);
  if (entry !== undefined) return entry;
  const text = `there is no run ${JSON.stringify(ref.lease.runId.slice(0, 100))} in namespace ${ref.namespace}`;
  throw new EngineError(refuse("RUN_NOT_FOUND", text, { field: "lease.run_id" }));
}

export function releaseLease(
  kernel: Kernel,
  request: ClaimedRef & { readonly retryAfterMs: number },
  done: (refusal: Refusal | undefined) => void,
): void {
  kernel.writer.submit({
    run(transaction) {
      const lease = resolveLease(kernel, request.namespace, request.lease);
      const entry = leasedEntry(kernel, { namespace: request.namespace, lease });
      const command: ReleaseLease = { type: "ReleaseLease", lease, retryAfterMs: request.retryAfterMs };
      const decision = decide(
        entry.state,
        command,
        decideContext(kernel, (seq) => readPayload(kernel.store, entry, seq)),
      );
      if (decision.kind === "accepted") kernel.recorder.record(transaction, entry, decision.events);
      transaction.after(() => done(decision.kind === "refused" ? decision : undefined));
    },
    refuse: done,
  });
}

export function renewLease(
  kernel: Kernel,
  request: ClaimedRef & { readonly leaseTtlMs: number },
): Promise<{ expiresInMs: number; notices: Notice[] }> {
  return new Promise((resolve, reject) => {
    kernel.writer.submit({
      run(transaction) {
        const lease = resolveLease(kernel, request.namespace, request.lease);
        const ref = { namespace: request.namespace, lease };
        const entry = leasedEntry(kernel, ref);
        const live = kernel.leases.get(lease.leaseId);
        if (live === undefined || live.ending || live.epoch !== lease.epoch || live.entry !== entry) {
          throw new EngineError(leaseLost(entry.state, lease));
        }
        const command: ExtendLease = { type: "ExtendLease", lease, ttlMs: request.leaseTtlMs };
        const decision = decide(
          entry.state,
          command,
          decideContext(kernel, () => undefined),
        );
        if (decision.kind === "refused") throw new EngineError(decision);
        if (decision.kind === "accepted") kernel.recorder.record(transaction, entry, decision.events);
        transaction.after(() => {
          live.ttlMs = entry.state.lease?.ttlMs ?? live.ttlMs;
          if (live.phase !== "granting") live.phase = "held";
          const ttlMs = request.leaseTtlMs === 0 ? live.ttlMs : request.leaseTtlMs;
          const longer = ttlMs < live.expiresAtMs - kernel.clock.elapsedMs();
          kernel.leaseLife.renew(live, ttlMs);
          if (longer) kernel.leaseLife.watch(live);
          resolve({ expiresInMs: ttlMs, notices: pendingNotices(kernel, ref) });
        });
      },
      refuse: (refusal) => reject(new EngineError(refusal)),
    });
  });
}

export function applyUnary(kernel: Kernel, op: UnaryOp): Promise<{ applied: OpApplied; notices: Notice[] }> {
  return new Promise((resolve, reject) => {
    const source = { namespace: op.namespace, onSession: false };
    const request = { lease: op.lease, opId: op.opId, afterRefused: 0, changes: [op.change] };
    submitOp(kernel, source, request, (outcome) => {
      if (outcome.kind === "refused") reject(new EngineError(outcome));
      else resolve({ applied: outcome, notices: pendingNotices(kernel, op) });
    });
  });
}

/** Changes under the lease that a worker holds by its name. */
export function applyClaimed(
  kernel: Kernel,
  op: ClaimedRef & { readonly changes: readonly Change[] },
): Promise<OpApplied> {
  return new Promise((resolve, reject) => {
    submitClaimedOp(kernel, op.namespace, op, (outcome) => {
      if (outcome.kind === "refused") reject(new EngineError(outcome));
      else resolve(outcome);
    });
  });
}

/**
 * The notices since the grant: a unary worker has no stream, so it is told again with each answer; seq tells them apart.
 * Of a long history the end: what came before was in the answers before.
 */
function pendingNotices(kernel: Kernel, ref: LeasedRef): Notice[] {
  const live = kernel.leases.get(ref.lease.leaseId);
  if (live === undefined || live.ending || live.lastNoticeSeq === 0) return [];
  const told: { readonly notice: Notice; readonly bytes: number }[] = [];
  // What the call has done is durable and is answered, whatever becomes of the run.
  unlessCorrupt(() => readNotices(kernel, live, (notice, bytes) => told.push({ notice, bytes })));
  let bytes = 0;
  const from = told.findLastIndex((each) => (bytes += each.bytes) > pageBytesMax);
  return told.slice(from + 1).map(({ notice }) => notice);
}

function readNotices(kernel: Kernel, live: LiveLease, tell: (notice: Notice, bytes: number) => void): void {
  const nowMs = kernel.time.nowMs();
  for (let afterSeq = Math.max(live.grantedSeq, live.lastNoticeSeq - pageSizeMax); afterSeq < live.lastNoticeSeq; ) {
    const limit = live.lastNoticeSeq - afterSeq;
    const events = kernel.store.readEvents(live.entry.state.runNo, {
      afterSeq,
      limit,
      bytesMax: pageBytesMax,
      throughSeq: live.grantedSeq,
    });
    const last = events.at(-1);
    // The newest may not be durable: the next answer tells it.
    if (last === undefined) break;
    afterSeq = last.seq;
    for (const event of events) {
      const notice = noticeOf(event, live.leaseId, nowMs);
      if (notice !== undefined) tell(notice, event.bytes);
    }
  }
}
