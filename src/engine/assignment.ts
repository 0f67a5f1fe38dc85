import type { RunEvent } from "../core/event.ts";
import { payloadBytes } from "../core/payload.ts";
import type { RunState } from "../core/state.ts";
import { journalChunkBytesMax, pageSizeMax } from "../limits.ts";
import type { Assignment, JournalEntry, LeaseHandle, SignalView } from "./frames.ts";
import { type JournalContext, journalEntry, journalSeqs, signalView } from "./journal.ts";
import type { Kernel } from "./kernel.ts";
import type { LiveLease } from "./leases.ts";

// An assignment is read from the history when its grant is durable, page by page. What counts of the history was
// noted at the grant: which events make up the journal and which signals are open. A fresh run's few events are still
// in memory, so the usual assignment reads nothing.

/** Noted at the grant. */
export interface GrantPlan {
  readonly journal: ReadonlySet<number> | undefined;
  readonly openSignals: ReadonlySet<number>;
  /** Signals whose payload a finished wait in the journal returns. */
  readonly consumedSignals: ReadonlySet<number>;
  /** The whole history when all of it was decided just now. */
  readonly fresh: readonly RunEvent[] | undefined;
  readonly grantedSeq: number;
  readonly deliveries: number;
  readonly cancelRequested: boolean;
}

export function planAssignment(state: RunState, undurable: readonly RunEvent[]): GrantPlan {
  const consumed = new Set<number>();
  for (const step of state.steps.values()) if (step.signalSeq !== 0) consumed.add(step.signalSeq);
  return {
    journal: journalSeqs(state),
    openSignals: new Set(state.signals.map((signal) => signal.seq)),
    consumedSignals: consumed,
    fresh: undurable[0]?.seq === 1 ? undurable.slice() : undefined,
    grantedSeq: state.lastSeq,
    deliveries: state.deliveries,
    cancelRequested: state.cancel !== undefined,
  };
}

export function handleOf(lease: LiveLease): LeaseHandle {
  return { runId: lease.runId, leaseId: lease.leaseId, epoch: lease.epoch };
}

interface Collected {
  input: RunEvent["payload"];
  journal: JournalEntry[];
  openSignals: SignalView[];
  bytes: number;
}

/** Collects what counts out of pages of events, in order. */
function createCollector(kernel: Kernel, lease: LiveLease, plan: GrantPlan) {
  const signalPayloads = new Map<number, RunEvent["payload"]>();
  const { steps } = lease.entry.state;
  const context: JournalContext = {
    nowMs: kernel.time.nowMs(),
    signalPayload: (seq) => signalPayloads.get(seq),
    firstStartedAtMs: (stepKey) => steps.get(stepKey)?.firstStartedAtMs ?? 0,
    signalName: (stepKey) => steps.get(stepKey)?.signalName ?? "",
  };
  let collected: Collected = { input: undefined, journal: [], openSignals: [], bytes: 0 };
  return {
    add(event: RunEvent): void {
      if (event.seq > plan.grantedSeq) return;
      if (event.type === "RunCreated") collected.input = event.payload;
      if (event.type === "SignalReceived") {
        if (plan.openSignals.has(event.seq)) {
          collected.openSignals.push(signalView(event));
          collected.bytes += payloadBytes(event.payload);
        } else if (plan.consumedSignals.has(event.seq)) signalPayloads.set(event.seq, event.payload);
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
    },
    takeCollected(): Collected {
      const taken = collected;
      collected = { input: undefined, journal: [], openSignals: [], bytes: 0 };
      return taken;
    },
  };
}

function assignmentOf(lease: LiveLease, plan: GrantPlan, part: Collected, continues: boolean): Assignment {
  const { state } = lease.entry;
  return {
    lease: handleOf(lease),
    namespace: lease.namespace,
    workflow: state.workflow,
    queue: state.queue,
    runKey: state.runKey,
    input: part.input,
    leaseTtlMs: lease.ttlMs,
    journal: part.journal,
    journalContinues: continues,
    openSignals: part.openSignals,
    journalThrough: plan.grantedSeq,
    cancelRequested: plan.cancelRequested,
    deliveries: plan.deliveries,
    createdAtMs: state.createdAtMs,
  };
}

export interface AssignmentSink {
  assign(assignment: Assignment, bytes: number): void;
  chunk(journal: readonly JournalEntry[], continues: boolean, bytes: number): void;
  /** Everything was given. */
  complete(): void;
  /** False when nobody wants it any more: the lease ended or its stream is gone. */
  wanted(): boolean;
}

/**
 * Gives the assignment and, when the history is long, the rest of the journal in chunks. The first page is read at
 * once; the others in the query thread, so that a long history delays nobody else's work.
 */
export function giveAssignment(kernel: Kernel, lease: LiveLease, plan: GrantPlan, sink: AssignmentSink): void {
  const collector = createCollector(kernel, lease, plan);
  if (plan.fresh !== undefined) {
    for (const event of plan.fresh) collector.add(event);
    const part = collector.takeCollected();
    sink.assign(assignmentOf(lease, plan, part, false), part.bytes + payloadBytes(part.input));
    return sink.complete();
  }
  const { runNo } = lease.entry.state;
  const options = { limit: pageSizeMax, bytesMax: journalChunkBytesMax };
  const first = kernel.store.readEvents(runNo, { afterSeq: 0, ...options });
  for (const event of first) collector.add(event);
  let throughSeq = first.at(-1)?.seq ?? plan.grantedSeq;
  const continues = throughSeq < plan.grantedSeq;
  const part = collector.takeCollected();
  sink.assign(assignmentOf(lease, plan, part, continues), part.bytes + payloadBytes(part.input));
  if (!continues) return sink.complete();
  const readOn = async () => {
    while (throughSeq < plan.grantedSeq && sink.wanted()) {
      const events = await kernel.store.readHistory(runNo, { afterSeq: throughSeq, ...options });
      const last = events.at(-1);
      if (last === undefined) throw new Error(`history of run number ${runNo} ends at ${throughSeq}`);
      for (const event of events) collector.add(event);
      throughSeq = last.seq;
      if (!sink.wanted()) return;
      const next = collector.takeCollected();
      sink.chunk(next.journal, throughSeq < plan.grantedSeq, next.bytes);
    }
    sink.complete();
  };
  readOn().catch((error: unknown) => kernel.log.error({ err: error, runNo }, "a journal could not be read to its end"));
}
