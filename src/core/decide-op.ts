import type { ApplyOp, Change } from "./command.ts";
import { decideEnd, endingChanges } from "./decide-end.ts";
import { holdsLease, leaseLost } from "./decide-lease.ts";
import {
  type ChangeContext,
  type ChangeDecision,
  decideCompleteStep,
  decideFailStep,
  decideStartStep,
} from "./decide-step.ts";
import { decideBackOff, decideCancelTimer, decideConsumeSignal, decideSetTimer, decideSuspend } from "./decide-wait.ts";
import {
  type ChangeNote,
  type DecideContext,
  type Decision,
  noStarts,
  payloadAt,
  sequence,
  serverKey,
} from "./decision.ts";
import { refuse } from "./errors.ts";
import type { RunEvent } from "./event.ts";
import { evolve } from "./evolve.ts";
import { exceedsReserve, historyLimit } from "./history-limit.ts";
import { copy, put, remove, type SparseMap } from "./sparse-map.ts";
import { unreachable } from "./unreachable.ts";
import type { AppliedOp, PendingStart, RunState, StepState, TimerState } from "./state.ts";

// An op in five questions: is it a repeat, does its lease hold the run, does it come in order, is each change allowed
// behind the ones before it, and only then: these are its events. A repeat is recognised before the fence is checked,
// because a worker whose answer was lost must learn that its op was applied, even when the op itself ended the lease.
// All but one: the answer to the start of an at-most-once step is the leave to enter it, which goes with the lease. Who
// asks for it again behind its end may come behind somebody's word that the step never ran.

export function decideOp(state: RunState, op: ApplyOp, context: DecideContext): Decision {
  if (op.opId !== 0) {
    const known = op.lease.epoch === state.epoch ? state.ops.get(op.opId) : undefined;
    if (known !== undefined && op.lease.leaseId === state.lastLeaseId) {
      if (known.digest !== op.digest) return refuse("OP_CONFLICT", `op ${op.opId} was applied with other content`);
      if (entersOnce(op) && !holdsLease(state, op.lease)) return leaseLost(state, op.lease);
      return { kind: "repeated", firstSeq: known.firstSeq, lastSeq: known.lastSeq };
    }
    if (op.lease.epoch < state.epoch) return entersOnce(op) ? leaseLost(state, op.lease) : { kind: "lookUp" };
  }
  if (!holdsLease(state, op.lease)) return leaseLost(state, op.lease);
  if (op.opId !== 0 && startedByAnother(state, op)) {
    return refuse("OP_CONFLICT", `op ${op.opId} was applied with other content`);
  }
  const decision = decideChanges(state, op, context);
  const lastOpId = newestOpId(state);
  const outOfOrder = op.opId !== 0 && op.opId <= lastOpId;
  if (outOfOrder && decision.kind === "accepted" && !decision.already) {
    return refuse("OP_OUT_OF_ORDER", `op ${op.opId} comes behind op ${lastOpId}`, { field: "op_id" });
  }
  return decision;
}

/** Whether an at-most-once step may be entered when it is applied: it is started, and not settled by the op itself. */
function entersOnce({ changes }: ApplyOp): boolean {
  const settles = (key: string) => (change: Change) =>
    (change.type === "CompleteStep" || change.type === "FailStep") && change.stepKey === key;
  return changes.some(
    (change, at) =>
      change.type === "StartStep" && change.atMostOnce && !changes.slice(at + 1).some(settles(change.stepKey)),
  );
}

function decideChanges(state: RunState, op: ApplyOp, context: DecideContext): Decision {
  const decision = op.changes.length === 1 ? decideOne(state, op, context) : decideMany(state, op, context);
  if (decision.kind !== "accepted" || decision.events.length === 0) return decision;
  const ends = endingChanges.has((op.changes.at(-1) as Change).type);
  return exceedsReserve(state, context, decision.events, ends) ? historyLimit(state) : decision;
}

/** A start that waits for its batch has no event yet, but its op was applied. */
function startedByAnother(state: RunState, op: ApplyOp): boolean {
  for (const start of state.pendingStarts.values()) {
    if (start.opId === op.opId && start.opDigest !== op.digest) return true;
  }
  return false;
}

function newestOpId(state: RunState): number {
  let newest = state.lastOpId;
  for (const start of state.pendingStarts.values()) if (start.opId > newest) newest = start.opId;
  return newest;
}

function decideOne(state: RunState, op: ApplyOp, context: DecideContext): Decision {
  const change = op.changes[0] as Change;
  const decided = decideChange(state, change, changeContext(state, op, context, 0));
  switch (decided.kind) {
    case "refused":
      return decided;
    case "unchanged":
      return { kind: "accepted", events: [], starts: noStarts, already: true, notes: noteList(decided.note) };
    case "start":
      return {
        kind: "accepted",
        events: [],
        starts: new Map([[decided.stepKey, decided.start]]),
        already: false,
        notes: [],
      };
    case "events":
      return {
        kind: "accepted",
        events: digestOnFirst(decided.events),
        starts: noStarts,
        already: false,
        notes: noteList(decided.note),
      };
    default:
      return unreachable(decided);
  }
}

/** Applies each change to the state so that the next one is judged behind it, then takes everything back. */
function decideMany(state: RunState, op: ApplyOp, context: DecideContext): Decision {
  const before = save(state, op);
  const events: RunEvent[] = [];
  const notes: ChangeNote[] = [];
  const starts = new Map<string, PendingStart>();
  // A change may repeat what an earlier one of its op has done.
  const within: DecideContext = { ...context, stored: (seq) => payloadAt(seq, events, context.stored) };
  try {
    for (const [index, change] of op.changes.entries()) {
      if (endingChanges.has(change.type) && index < op.changes.length - 1) {
        return refuse("INVALID", `${change.type} must be the last change of its op`, { field: `changes[${index}]` });
      }
      const decided = decideChange(state, change, changeContext(state, op, within, index));
      if (decided.kind === "refused") {
        return { ...decided, field: `changes[${index}]${decided.field === "" ? "" : `.${decided.field}`}` };
      }
      if (decided.kind === "start") {
        state.pendingStarts = put(state.pendingStarts, decided.stepKey, decided.start);
        starts.set(decided.stepKey, decided.start);
        continue;
      }
      if (decided.note !== undefined) notes.push(decided.note);
      if (decided.kind === "unchanged") continue;
      for (const event of decided.events) {
        evolve(state, event);
        events.push(event);
      }
    }
    for (const [key, start] of starts) if (state.pendingStarts.get(key) !== start) starts.delete(key);
    const already = events.length === 0 && starts.size === 0;
    return { kind: "accepted", events: digestOnFirst(events), starts, already, notes };
  } finally {
    restore(state, op, before);
    removeServerKeys(state, before, events);
  }
}

function decideChange(state: RunState, change: Change, context: ChangeContext): ChangeDecision {
  switch (change.type) {
    case "CompleteStep":
      return decideCompleteStep(state, change, context);
    case "StartStep":
      return decideStartStep(state, change, context);
    case "FailStep":
      return decideFailStep(state, change, context);
    case "SetTimer":
      return decideSetTimer(state, change, context);
    case "CancelTimer":
      return decideCancelTimer(state, change, context);
    case "ConsumeSignal":
      return decideConsumeSignal(state, change, context);
    case "BackOff":
      return decideBackOff(state, change, context);
    case "SuspendRun":
      return decideSuspend(state, change, context);
    case "CompleteRun":
    case "FailRun":
    case "CancelledRun":
      return decideEnd(state, change, context);
    default:
      return unreachable(change);
  }
}

function changeContext(state: RunState, op: ApplyOp, context: DecideContext, index: number): ChangeContext {
  return {
    nowMs: context.nowMs,
    random: context.random,
    stored: context.stored,
    limits: context.limits,
    index,
    next: sequence(state, context.nowMs),
    epoch: op.lease.epoch,
    opId: op.opId,
    opDigest: op.opId === 0 ? 0 : op.digest,
    onSession: op.onSession,
  };
}

function noteList(note: ChangeNote | undefined): readonly ChangeNote[] {
  return note === undefined ? [] : [note];
}

/** The digest is kept in the op's first event only. */
function digestOnFirst(events: readonly RunEvent[]): readonly RunEvent[] {
  if (events.length < 2) return events;
  return events.map((event, index) => (index === 0 || event.opDigest === 0 ? event : { ...event, opDigest: 0 }));
}

interface Saved {
  readonly fields: RunState;
  readonly steps: Map<string, StepState | undefined>;
  readonly timers: Map<string, TimerState | undefined>;
  readonly starts: SparseMap<string, PendingStart>;
  readonly op: AppliedOp | undefined;
}

/** What the changes of an op can touch: the fields, and of the big maps only the keys that they name. */
function save(state: RunState, op: ApplyOp): Saved {
  const steps = new Map<string, StepState | undefined>();
  const timers = new Map<string, TimerState | undefined>();
  for (const change of op.changes) {
    if (!("stepKey" in change)) continue;
    steps.set(change.stepKey, state.steps.get(change.stepKey));
    timers.set(change.stepKey, state.timers.get(change.stepKey));
  }
  // A result consumes what the lease has reserved, under keys of the server.
  for (const { seq } of state.reservedSignals) steps.set(serverKey(seq), state.steps.get(serverKey(seq)));
  return { fields: { ...state }, steps, timers, starts: copy(state.pendingStarts), op: state.ops.get(op.opId) };
}

/** Keys that the op does not name: the server made them for its events. */
function removeServerKeys(state: RunState, saved: Saved, events: readonly RunEvent[]): void {
  for (const { stepKey } of events) {
    if (stepKey === "" || saved.steps.has(stepKey)) continue;
    remove(state.steps, stepKey);
    remove(state.timers, stepKey);
  }
}

function restore(state: RunState, op: ApplyOp, saved: Saved): void {
  Object.assign(state, saved.fields);
  for (const [key, step] of saved.steps) {
    if (step === undefined) remove(state.steps, key);
    else state.steps = put(state.steps, key, step);
  }
  for (const [key, timer] of saved.timers) {
    if (timer === undefined) remove(state.timers, key);
    else state.timers = put(state.timers, key, timer);
  }
  state.pendingStarts = saved.starts;
  if (saved.op === undefined) remove(state.ops, op.opId);
  else state.ops = put(state.ops, op.opId, saved.op);
}
