import type { Change } from "../core/command.ts";
import { decide } from "../core/decide.ts";
import { leaseLost } from "../core/decide-lease.ts";
import { type ChangeNote, payloadAt } from "../core/decision.ts";
import { EngineError, type ErrorReason, type Refusal, refuse } from "../core/errors.ts";
import type { RunEvent } from "../core/event.ts";
import { repeatedNotes } from "../core/repeated-notes.ts";
import { finalStatuses } from "../core/state.ts";
import type { OpRequest } from "./api.ts";
import type { OpApplied, OpOutcome, ResolvedNote } from "./frames.ts";
import { decideContext, type Kernel } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";
import { readPayload, readRange } from "./run-events.ts";
import type { OpWork } from "./op-work.ts";
import type { RunEntry } from "./run-table.ts";
import type { Transaction } from "./transaction.ts";

// An op on its way through the writer: the ledger's question (did an earlier op of this lease fail?), core's decision,
// the record, and the answer when all of it is durable. The same path for a session's ops and for unary calls.

/** Refusals that say nothing about the op's own content: the ops behind it need not wait for its repair. */
const notRemembered: ReadonlySet<ErrorReason> = new Set([
  "LEASE_LOST",
  "OP_CONFLICT",
  "OP_OUT_OF_ORDER",
  "PRECEDING_FAILED",
  "RUN_NOT_FOUND",
]);

export function runOp(kernel: Kernel, transaction: Transaction, request: OpWork): void {
  const { lease: handle } = request;
  const live = kernel.leases.get(handle.leaseId);
  const entry = entryOf(kernel, live, request);
  if (entry === undefined) {
    return refuseOp(kernel, transaction, request, leaseLostUnknown(request));
  }
  const preceding = precedingFailed(live, request, entry);
  if (preceding !== undefined) return refuseOp(kernel, transaction, request, preceding);
  const decision = decide(
    entry.state,
    request,
    decideContext(kernel, (seq) => readPayload(kernel.store, entry, seq)),
  );
  switch (decision.kind) {
    case "refused":
      return refuseOp(kernel, transaction, request, decision);
    case "repeated": {
      const outcome = repeatedOutcome(kernel, entry, request, decision.firstSeq, decision.lastSeq);
      return request.decided(transaction, outcome);
    }
    case "lookUp":
      return lookUp(kernel, transaction, entry, request);
    default: {
      const notes = resolveNotes(kernel, entry, decision.notes, decision.events);
      const { state } = entry;
      if (decision.events.length > 0 || decision.starts.size > 0) transaction.claimWrite();
      if (live !== undefined) {
        if (live.refusedOpId !== 0) live.refusedOpId = 0;
        if (live.phase === "offered" || live.phase === "orphaned") live.phase = "held";
      }
      kernel.recorder.record(transaction, entry, decision.events);
      kernel.recorder.recordStarts(transaction, entry, decision.starts);
      const outcome: OpApplied = {
        kind: "applied",
        already: decision.already,
        lastSeq: state.lastSeq,
        notes,
        nowMs: kernel.time.nowMs(),
        queued: state.status === "QUEUED",
      };
      request.decided(transaction, outcome);
    }
  }
}

function entryOf(kernel: Kernel, live: LiveLease | undefined, request: OpWork): RunEntry | undefined {
  const { runId } = request.lease;
  if (live !== undefined && live.runId === runId && live.namespace === request.namespace) return live.entry;
  return kernel.runs.find(request.namespace, runId);
}

function leaseLostUnknown(request: OpRequest): Refusal {
  return refuse("RUN_NOT_FOUND", `there is no run ${JSON.stringify(request.lease.runId.slice(0, 100))}`, {
    field: "lease.run_id",
  });
}

/** After a refused op, later ones wait until the worker shows that it has seen the refusal. */
function precedingFailed(live: LiveLease | undefined, request: OpRequest, entry: RunEntry): Refusal | undefined {
  if (live === undefined || live.refusedOpId === 0 || request.opId === 0) return undefined;
  const { refusedOpId } = live;
  if (request.opId <= refusedOpId || request.afterRefused === refusedOpId) return undefined;
  if (entry.state.ops.has(request.opId)) return undefined;
  return refuse("PRECEDING_FAILED", `op ${refusedOpId} of this lease was refused; name it in after_refused to go on`, {
    field: "after_refused",
  });
}

export function rememberRefusal(kernel: Kernel, request: Pick<OpRequest, "lease" | "opId">, refusal: Refusal): void {
  if (request.opId === 0 || notRemembered.has(refusal.reason)) return;
  const live = kernel.leases.get(request.lease.leaseId);
  // Under another epoch it is nobody's op: the holder of the lease has not sent it.
  if (live === undefined || live.epoch !== request.lease.epoch || request.opId <= live.entry.state.lastOpId) return;
  // A copy that comes late, behind a stalled stream, of an op that its worker has seen refused and will not name again.
  if (request.opId < live.refusedOpId) return;
  live.refusedOpId = request.opId;
}

function refuseOp(kernel: Kernel, transaction: Transaction, request: OpWork, refusal: Refusal): void {
  kernel.counters.opsRefused += 1;
  rememberRefusal(kernel, request, refusal);
  request.decided(transaction, refusal);
}

/**
 * An op of an epoch that is over: only the file knows whether it was applied. Asked when nothing of the run is
 * undurable any more, so that the file says all of it.
 */
function lookUp(kernel: Kernel, transaction: Transaction, entry: RunEntry, request: OpWork): void {
  transaction.after(() => {
    try {
      request.answer(lookedUp(kernel, entry, request));
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      request.answer(error.refusal);
    }
  });
}

function lookedUp(kernel: Kernel, entry: RunEntry, request: OpWork): OpOutcome {
  const { runNo } = entry.state;
  const { lease, opId } = request;
  const events = kernel.store.findOp(runNo, lease.epoch, opId);
  const first = events[0];
  const granted = first === undefined ? undefined : findGrant(kernel, runNo, lease.epoch, first.seq);
  if (first === undefined || granted !== lease.leaseId) {
    kernel.counters.opsRefused += 1;
    return leaseLost(entry.state, lease);
  }
  if (first.opDigest !== request.digest) return refuse("OP_CONFLICT", `op ${opId} was applied with other content`);
  return outcomeOf(kernel, entry, request.changes, events);
}

/** The lease_id of the grant with this epoch, looked for backwards from one of its events. */
function findGrant(kernel: Kernel, runNo: number, epoch: number, beforeSeq: number): string | undefined {
  const page = 256;
  for (let end = beforeSeq; end > 0; end -= page) {
    const afterSeq = Math.max(0, end - 1 - page);
    const events = kernel.store.readEvents(runNo, {
      afterSeq,
      limit: end - 1 - afterSeq,
      bytesMax: Number.MAX_SAFE_INTEGER,
      throughSeq: end - 1,
    });
    for (const event of events.reverse()) {
      if (event.type === "LeaseGranted" && event.epoch === epoch) return event.detail.leaseId;
    }
  }
  return undefined;
}

function repeatedOutcome(
  kernel: Kernel,
  entry: RunEntry,
  { changes, opId }: OpRequest,
  firstSeq: number,
  lastSeq: number,
): OpApplied {
  // Between them stand events of later ops when a start has waited for the end of its batch.
  const events = readRange(kernel.store, entry, firstSeq, lastSeq).filter((event) => event.opId === opId);
  return outcomeOf(kernel, entry, changes, events);
}

/** The result of an op that was applied before, made again from the events that it wrote. */
function outcomeOf(
  kernel: Kernel,
  entry: RunEntry,
  changes: readonly Change[],
  events: readonly RunEvent[],
): OpApplied {
  const nowMs = kernel.time.nowMs();
  return {
    kind: "applied",
    already: true,
    lastSeq: events.at(-1)?.seq ?? 0,
    notes: resolveNotes(kernel, entry, repeatedNotes(entry.state, changes, events, nowMs), []),
    nowMs,
    queued: !finalStatuses.has(entry.state.status) && entry.state.status === "QUEUED",
  };
}

const noNotes: readonly ResolvedNote[] = [];

/**
 * Payloads that only the history knows are read at the decision: later the events may have left memory. `decided` are
 * the events of the op itself, which are recorded only when nothing can fail any more.
 */
function resolveNotes(
  kernel: Kernel,
  entry: RunEntry,
  notes: readonly ChangeNote[],
  decided: readonly RunEvent[],
): readonly ResolvedNote[] {
  if (notes.length === 0) return noNotes;
  const payloadOf = (seq: number) => payloadAt(seq, decided, (of) => readPayload(kernel.store, entry, of));
  return notes.map((note): ResolvedNote => {
    if (note.kind === "signal") return { ...note, payload: payloadOf(note.signalSeq) };
    if (note.kind === "stored") return { kind: "stored", index: note.index, output: payloadOf(note.seq) };
    return note;
  });
}
