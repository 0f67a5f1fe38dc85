import type { PendingStart } from "../core/state.ts";
import type { EventTypeName, LeaseEndReason, RunEvent } from "../core/event.ts";
import { evolve } from "../core/evolve.ts";
import { sealStarts } from "../core/open-starts.ts";
import { deadlinesOf, rankOf } from "../core/rows.ts";
import { emptyMap, put, remove, type SparseMap } from "../core/sparse-map.ts";
import { type RunRow, runRowOf } from "../store/store.ts";
import { noticeOf } from "./journal.ts";
import type { Kernel } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";
import { keptForGrant, type RunEntry } from "./run-table.ts";
import type { Transaction } from "./transaction.ts";

// From decided events to everything that follows from them: the state, the batch's rows, the line, the deadlines, the
// ledger, and what is to be told when the batch is durable. The only place that changes decided state.

export interface Recorder {
  record(transaction: Transaction, entry: RunEntry, events: readonly RunEvent[]): void;
  /** Starts wait for the end of the batch; see PendingStart. */
  recordStarts(transaction: Transaction, entry: RunEntry, starts: ReadonlyMap<string, PendingStart>): void;
  /** Writes row, line and deadlines although no event says so: the run's time has come, or its history is corrupt. */
  recordRow(transaction: Transaction, entry: RunEntry): void;
  /** Makes the entry's deadlines known before they are compared. */
  loadDeadlines(entry: RunEntry): SparseMap<string, number>;
  /** The lease holds no capacity any more; its holder is told when that is durable. */
  endLease(transaction: Transaction, lease: LiveLease, reason: LeaseEndReason): void;
  /** A deadline that turned out void. */
  dropDeadline(transaction: Transaction, entry: RunEntry, kind: RunDeadlineKind, stepKey: string): void;
  /** Completes the batch: open starts become events, changed rows are added. */
  seal(transaction: Transaction): void;
  /** The batch is durable. */
  durable(commitNo: number): void;
  reset(): void;
}
type RunDeadlineKind = Parameters<Kernel["deadlines"]["remove"]>[1];

/** What the recorder tells the parts that talk to workers. */
export interface RecorderHooks {
  /** Decided: the lease holds no capacity any more. */
  leaseEnding(lease: LiveLease, reason: LeaseEndReason): void;
  /** Durable: it is gone; tell its holder unless the holder ended it itself. */
  leaseEnded(lease: LiveLease, reason: LeaseEndReason): void;
  /** Durable: tell the holder of the lease. */
  notice(lease: LiveLease, event: RunEvent): void;
}

/** Events that never change a deadline, unless a step with a timeout is concerned. */
const deadlineFree: ReadonlySet<EventTypeName> = new Set([
  "StepStarted",
  "StepCompleted",
  "StepFailed",
  "StepAttemptFailed",
  "LeaseExtended",
]);

export function createRecorder(kernel: Kernel, hooks: RecorderHooks): Recorder {
  const touched = new Set<RunEntry>();
  /** Touched entries of committed batches that are not durable, in order. */
  let waiting: { commitNo: number; entries: RunEntry[] }[] = [];

  function touch(transaction: Transaction, entry: RunEntry): void {
    entry.commitNo = transaction.commitNo;
    touched.add(entry);
  }

  function record(transaction: Transaction, entry: RunEntry, events: readonly RunEvent[]): void {
    if (events.length === 0) return;
    transaction.claimWrite();
    const { state } = entry;
    const { version } = state;
    const stepsBefore = state.steps.size;
    const cancelBefore = state.cancel;
    const lease = state.lease === undefined ? undefined : kernel.leases.get(state.lease.leaseId);
    // Those of a run that was just read from the file must be known before an event drops one of them.
    let deadlinesChange = hasStepTimeout(self.loadDeadlines(entry));
    for (const event of events) {
      if (!deadlineFree.has(event.type) || (event.type === "StepStarted" && event.detail.timeoutMs !== undefined)) {
        deadlinesChange = true;
      }
    }
    touch(transaction, entry);
    for (const event of events) {
      evolve(state, event);
      keepUndurable(entry, event, transaction.commitNo);
      transaction.batch.events.push({ runNo: state.runNo, event });
      if (lease !== undefined) followLease(transaction, lease, event);
    }
    if (state.steps.size !== stepsBefore) kernel.runs.grew(state.steps.size - stepsBefore);
    // Of a run that somebody leases memory knows what its row does not say; of any other the row says all of it.
    if (state.version !== version || state.cancel !== cancelBefore || state.lease === undefined) {
      entry.rowDirty = true;
      place(transaction, entry);
    }
    if (deadlinesChange) diffDeadlines(transaction, entry);
  }

  function endLease(transaction: Transaction, lease: LiveLease, reason: LeaseEndReason): void {
    lease.ending = true;
    hooks.leaseEnding(lease, reason);
    transaction.after(() => hooks.leaseEnded(lease, reason));
  }

  function followLease(transaction: Transaction, lease: LiveLease, event: RunEvent): void {
    if (event.type === "LeaseEnded") endLease(transaction, lease, event.detail.reason);
    else if (noticeOf(event, lease.leaseId, 0) !== undefined && !lease.ending) {
      lease.lastNoticeSeq = event.seq;
      transaction.after(() => hooks.notice(lease, event));
    }
  }

  /** Into or out of its line, and to its place in it. */
  function place(transaction: Transaction, entry: RunEntry): void {
    const { state } = entry;
    const available = state.status === "QUEUED" && state.availableAtMs <= kernel.time.nowMs();
    const rank = available ? rankOf(state) : 0;
    if (entry.inLine && (!available || rank !== entry.rank)) {
      kernel.lines.leave(state, state.runNo, entry.rank, transaction.commitNo);
      entry.inLine = false;
    }
    if (available && !entry.inLine) {
      entry.inLine = true;
      entry.rank = rank;
      kernel.lines.enter(state, state.runNo, rank, transaction.commitNo);
    }
  }

  function diffDeadlines(transaction: Transaction, entry: RunEntry): void {
    const { runNo } = entry.state;
    const before = entry.deadlines ?? emptyMap<string, number>();
    const after = currentDeadlines(entry);
    const { commitNo } = transaction;
    for (const [key, dueAtMs] of after) {
      if (before.get(key) === dueAtMs) continue;
      const { kind, stepKey } = splitKey(key);
      transaction.batch.deadlines.push({ op: "put", runNo, kind, stepKey, dueAtMs });
      kernel.deadlines.put({ runNo, kind, stepKey, dueAtMs }, commitNo);
    }
    for (const key of before.keys()) {
      if (after.has(key)) continue;
      const { kind, stepKey } = splitKey(key);
      transaction.batch.deadlines.push({ op: "delete", runNo, kind, stepKey });
      kernel.deadlines.remove(runNo, kind, stepKey, commitNo);
    }
    entry.deadlines = after;
  }

  const self: Recorder = {
    record,
    recordStarts(transaction, entry, starts) {
      if (starts.size === 0) return;
      transaction.claimWrite();
      touch(transaction, entry);
      const { state } = entry;
      for (const [stepKey, start] of starts) state.pendingStarts = put(state.pendingStarts, stepKey, start);
    },
    recordRow(transaction, entry) {
      transaction.claimWrite();
      self.loadDeadlines(entry);
      touch(transaction, entry);
      entry.rowDirty = true;
      place(transaction, entry);
      diffDeadlines(transaction, entry);
    },
    loadDeadlines(entry) {
      entry.deadlines ??= currentDeadlines(entry);
      return entry.deadlines;
    },
    endLease,
    dropDeadline(transaction, entry, kind, stepKey) {
      transaction.claimWrite();
      if (entry.deadlines !== undefined) remove(entry.deadlines, deadlineKey(kind, stepKey));
      transaction.batch.deadlines.push({ op: "delete", runNo: entry.state.runNo, kind, stepKey });
      kernel.deadlines.remove(entry.state.runNo, kind, stepKey, transaction.commitNo);
    },
    seal(transaction) {
      const nowMs = kernel.time.nowMs();
      for (const entry of touched) {
        if (entry.state.pendingStarts.size > 0) record(transaction, entry, sealStarts(entry.state, nowMs));
      }
      if (touched.size === 0) return;
      for (const entry of touched) {
        if (!entry.rowDirty) continue;
        entry.rowDirty = false;
        transaction.batch.runs.push(rowOf(entry, transaction.commitNo));
      }
      waiting.push({ commitNo: transaction.commitNo, entries: [...touched] });
      touched.clear();
    },
    durable(commitNo) {
      kernel.lines.durable(commitNo);
      kernel.deadlines.durable(commitNo);
      let settled = 0;
      while (waiting.length > 0 && (waiting[0] as { commitNo: number }).commitNo <= commitNo) {
        const entries = waiting.shift()?.entries ?? [];
        for (const entry of entries) settle(entry, commitNo);
        settled += entries.length;
      }
      kernel.runs.evict(commitNo, settled);
    },
    reset() {
      touched.clear();
      waiting = [];
    },
  };

  /** What the answers may show moves on; events of later batches stay with the entry. */
  function settle(entry: RunEntry, commitNo: number): void {
    const { undurable, undurableCommitNos, durable } = entry;
    if (entry.commitNo <= commitNo) entry.commitNo = 0;
    let settled = 0;
    while (settled < undurable.length && (undurableCommitNos[settled] as number) <= commitNo) {
      const event = undurable[settled++] as RunEvent;
      durable.lastSeq = event.seq;
      durable.updatedAtMs = event.atMs;
      if (event.type === "StepCompleted") durable.stepsCompleted += 1;
      else if (event.seq === 1 && entry.state.lastSeq === 1) entry.created = keptForGrant(event);
    }
    if (settled === undurable.length) {
      entry.undurable = [];
      entry.undurableCommitNos = [];
    } else {
      undurable.splice(0, settled);
      undurableCommitNos.splice(0, settled);
    }
  }
  return self;
}

/** Most batches have one event of a run: a list made with it is a fifth of one that grows to it. */
function keepUndurable(entry: RunEntry, event: RunEvent, commitNo: number): void {
  if (entry.undurable.length === 0) {
    entry.undurable = [event];
    entry.undurableCommitNos = [commitNo];
  } else {
    entry.undurable.push(event);
    entry.undurableCommitNos.push(commitNo);
  }
}

function hasStepTimeout(deadlines: ReadonlyMap<string, number>): boolean {
  if (deadlines.size === 0) return false;
  for (const key of deadlines.keys()) if (key.startsWith("stepTimeout ")) return true;
  return false;
}

export function deadlineKey(kind: RunDeadlineKind, stepKey: string): string {
  return `${kind} ${stepKey}`;
}
function splitKey(key: string): { kind: RunDeadlineKind; stepKey: string } {
  const space = key.indexOf(" ");
  return { kind: key.slice(0, space) as RunDeadlineKind, stepKey: key.slice(space + 1) };
}

function currentDeadlines(entry: RunEntry): SparseMap<string, number> {
  let map = emptyMap<string, number>();
  if (entry.corrupt) return map;
  for (const { kind, stepKey, dueAtMs } of deadlinesOf(entry.state, entry.inLine))
    map = put(map, deadlineKey(kind, stepKey), dueAtMs);
  return map;
}

/** The row as decided. */
export function rowOf(entry: RunEntry, commitNo: number): RunRow {
  return runRowOf(entry.state, entry.inLine ? entry.rank : undefined, commitNo);
}
