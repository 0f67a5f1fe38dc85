import type { RunEvent } from "../core/event.ts";
import { payloadBytes } from "../core/payload.ts";
import { aheadBytesMax, aheadEventsMax, journalChunkBytesMax, pageSizeMax } from "../limits.ts";
import { CorruptRowError } from "../store/store.ts";
import type { Assignment, JournalEntry, LeaseHandle, SignalView } from "./frames.ts";
import { type JournalContext, journalEntry, journalSeqs, signalView } from "./journal.ts";
import type { Kernel } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";
import { oneAt } from "./run-events.ts";
import type { RunEntry } from "./run-table.ts";

// An assignment is read from the history when its grant is durable, page by page. What counts of the history was
// noted at the grant: which events make up the journal and which signals are open. A fresh run's few events are still
// in memory, so the usual assignment reads nothing. A short history is read while its grant is being committed.

/** Noted at the grant. */
export interface GrantPlan {
  readonly journal: ReadonlySet<number> | undefined;
  readonly openSignals: ReadonlySet<number>;
  /** Signals whose payload a finished wait in the journal returns. */
  readonly consumedSignals: ReadonlySet<number>;
  /** The whole history when memory has it: decided just now, behind a start that it has kept, or read ahead. */
  history: readonly RunEvent[] | undefined;
  /** What may not be in the file yet, up to the grant. */
  readonly undurable: readonly RunEvent[];
  /** Of the whole history, roughly. */
  readonly historyBytes: number;
  readonly grantedSeq: number;
  readonly deliveries: number;
  readonly cancelRequested: boolean;
}

export function planAssignment({ state, undurable: newest, created }: RunEntry): GrantPlan {
  const undurable = newest.slice();
  const consumed = new Set<number>();
  for (const step of state.steps.values()) if (step.signalSeq !== 0) consumed.add(step.signalSeq);
  return {
    journal: journalSeqs(state),
    openSignals: new Set(state.signals.map((signal) => signal.seq)),
    consumedSignals: consumed,
    history: freshHistory(created, undurable),
    undurable,
    historyBytes: state.historyBytes,
    grantedSeq: state.lastSeq,
    deliveries: state.deliveries,
    cancelRequested: state.cancel !== undefined,
  };
}

function freshHistory(created: RunEvent | undefined, undurable: readonly RunEvent[]) {
  const firstSeq = undurable[0]?.seq;
  if (firstSeq === 1) return undurable;
  return firstSeq === 2 && created !== undefined ? [created, ...undurable] : undefined;
}

/** Completes the history with what the file has of it, if that is short. */
export function readAhead({ store }: Kernel, { entry }: LiveLease, plan: GrantPlan): void {
  const { history, undurable, historyBytes, grantedSeq } = plan;
  const throughSeq = (undurable[0]?.seq ?? grantedSeq + 1) - 1;
  if (history !== undefined || throughSeq > aheadEventsMax || historyBytes > aheadBytesMax) return;
  unlessCorrupt(() => {
    const page = { afterSeq: 0, limit: throughSeq, bytesMax: Number.MAX_SAFE_INTEGER, throughSeq };
    plan.history = [...store.readEvents(entry.state.runNo, page), ...undurable];
  });
}

export function handleOf(lease: LiveLease): LeaseHandle {
  return { runId: lease.runId, leaseId: lease.leaseId, epoch: lease.epoch };
}

interface Collected {
  input: RunEvent["payload"];
  journal: JournalEntry[];
  bytes: number;
}

/** Collects what counts out of pages of events, in order, in parts that one frame can carry. */
function createCollector(kernel: Kernel, lease: LiveLease, plan: GrantPlan, signalBytesMax: number) {
  const signalPayloads = new Map<number, RunEvent["payload"]>();
  const { steps } = lease.entry.state;
  const context: JournalContext = {
    nowMs: kernel.time.nowMs(),
    signalPayload: (seq) => signalPayloads.get(seq),
    firstStartedAtMs: (stepKey) => steps.get(stepKey)?.firstStartedAtMs ?? 0,
    signalName: (stepKey) => steps.get(stepKey)?.signalName ?? "",
  };
  const parts: Collected[] = [];
  let collected: Collected = { input: undefined, journal: [], bytes: 0 };
  function seal(): void {
    parts.push(collected);
    collected = { input: undefined, journal: [], bytes: 0 };
  }
  return {
    add(event: RunEvent): void {
      if (event.seq > plan.grantedSeq) return;
      if (event.type === "RunCreated") collected.input = event.payload;
      if (event.type === "SignalReceived" && plan.consumedSignals.has(event.seq)) {
        signalPayloads.set(event.seq, event.payload);
      }
      if (plan.journal?.has(event.seq) !== true) return;
      const entry = journalEntry(event, context);
      if (entry === undefined) return;
      collected.journal.push(entry);
      collected.bytes += event.bytes + entry.stepKey.length + 16;
      if (entry.kind === "signal") {
        collected.bytes += payloadBytes(entry.payload);
        signalPayloads.delete(entry.signalSeq);
      }
      if (collected.bytes >= journalChunkBytesMax) seal();
    },
    /** The parts so far; at least one, which may be empty. */
    takeParts(): Collected[] {
      if (collected.journal.length > 0 || collected.input !== undefined || parts.length === 0) seal();
      return parts.splice(0);
    },
    /** The open signals that fit, and the seq up to which nothing is left out. */
    openSignals(): { signals: SignalView[]; throughSeq: number; bytes: number } {
      const signals: SignalView[] = [];
      let bytes = 0;
      for (const seq of plan.openSignals) {
        const event = plan.history?.[seq - 1] ?? kernel.store.readEvents(lease.entry.state.runNo, oneAt(seq))[0];
        if (event?.type !== "SignalReceived") throw new Error(`signal ${seq} of ${lease.runId} is not in its history`);
        if (bytes + event.bytes > signalBytesMax) return { signals, throughSeq: seq - 1, bytes };
        bytes += event.bytes;
        signals.push(signalView(event));
      }
      return { signals, throughSeq: plan.grantedSeq, bytes };
    },
  };
}

export interface AssignmentSink {
  /** How many bytes of open signals it can carry; those behind are told as notices. */
  readonly signalBytesMax: number;
  assign(assignment: Assignment, bytes: number): void;
  /** Resolves when it was given: at once, or when there is room. */
  chunk(journal: readonly JournalEntry[], continues: boolean, bytes: number): void | Promise<void>;
  /** Everything was given. */
  complete(): void;
  /** False when nobody wants it any more: the lease ended or its stream is gone. */
  wanted(): boolean;
}

/**
 * Gives the assignment and, when the history is long, the rest of the journal in chunks. The first page is read at
 * once; the others in the query thread, so that a long history delays nobody else's work. Nothing more is given of a
 * history that cannot be read: the end of the lease, when the run is set aside, tells its holder.
 */
export function giveAssignment(kernel: Kernel, lease: LiveLease, plan: GrantPlan, sink: AssignmentSink): void {
  unlessCorrupt(() => give(kernel, lease, plan, sink));
}

/** Runs it; a history that cannot be read ends it quietly, because whoever reads the store has it set aside. */
export function unlessCorrupt(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof CorruptRowError)) throw error;
  }
}

function give(kernel: Kernel, lease: LiveLease, plan: GrantPlan, sink: AssignmentSink): void {
  const collector = createCollector(kernel, lease, plan, sink.signalBytesMax);
  const { state } = lease.entry;
  const options = { limit: pageSizeMax, bytesMax: journalChunkBytesMax, throughSeq: plan.grantedSeq };
  const page = plan.history ?? kernel.store.readEvents(state.runNo, { afterSeq: 0, ...options });
  for (const event of page) collector.add(event);
  let throughSeq = plan.history === undefined ? (page.at(-1)?.seq ?? plan.grantedSeq) : plan.grantedSeq;
  let parts = collector.takeParts();
  const first = parts.shift() as Collected;
  const open = collector.openSignals();
  const more = () => parts.length > 0 || throughSeq < plan.grantedSeq;
  const assignment: Assignment = {
    lease: handleOf(lease),
    namespace: lease.namespace,
    workflow: state.workflow,
    queue: state.queue,
    runKey: state.runKey,
    input: first.input,
    leaseTtlMs: lease.ttlMs,
    journal: first.journal,
    journalContinues: more(),
    openSignals: open.signals,
    journalThrough: open.throughSeq,
    cancelRequested: plan.cancelRequested,
    deliveries: plan.deliveries,
    createdAtMs: state.createdAtMs,
  };
  sink.assign(assignment, first.bytes + open.bytes + payloadBytes(first.input));
  if (!assignment.journalContinues) return sink.complete();
  const giveOn = async () => {
    while (more() && sink.wanted()) {
      const part = parts.shift();
      if (part !== undefined) {
        await sink.chunk(part.journal, more(), part.bytes);
        continue;
      }
      const events = await kernel.store.readHistory(state.runNo, { afterSeq: throughSeq, ...options });
      for (const event of events) collector.add(event);
      throughSeq = events.at(-1)?.seq ?? plan.grantedSeq;
      parts = collector.takeParts();
    }
    sink.complete();
  };
  giveOn().catch((error: unknown) => {
    if (error instanceof CorruptRowError) return;
    kernel.log.error({ err: error, runId: lease.runId }, "a journal could not be read to its end");
  });
}
