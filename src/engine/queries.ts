import { EngineError } from "../core/errors.ts";
import type { RunEvent } from "../core/event.ts";
import { createState } from "../core/new-state.ts";
import { evolve } from "../core/evolve.ts";
import type { RunState } from "../core/state.ts";
import { pageBytesMax, pageSizeMax } from "../limits.ts";
import type { RunFilter, RunRow } from "../store/store.ts";
import type { Page, RunRef, RunView, SignalInfo, StepView, TimerInfo } from "./api.ts";
import type { Kernel } from "./kernel.ts";
import { runNotFound } from "./run-commands.ts";
import { readView, viewOf } from "./run-view.ts";

// Reads for people and programs. Each page is a snapshot of its own, opened after the request came and closed before
// it is answered; what is folded from a history is folded page by page in this thread, read in another.

export function rowOf(kernel: Kernel, ref: RunRef): RunRow {
  const row = kernel.store.findRun(ref.namespace, ref.runId);
  if (row === undefined) throw new EngineError(runNotFound(ref));
  return row;
}

export function getRun(kernel: Kernel, ref: RunRef): RunView {
  const view = readView(kernel, ref);
  if (view === undefined) throw new EngineError(runNotFound(ref));
  return view;
}

export async function listRuns(
  kernel: Kernel,
  filter: RunFilter,
  { beforeRunNo, limit }: { beforeRunNo: number; limit: number },
): Promise<Page<RunView>> {
  const rows = await kernel.store.listRuns(filter, { beforeRunNo, limit: limit + 1 });
  const more = rows.length > limit;
  return { items: rows.slice(0, limit).map((row) => viewOf(kernel, row)), more };
}

export async function history(
  kernel: Kernel,
  ref: RunRef,
  { afterSeq, limit }: { afterSeq: number; limit: number },
): Promise<Page<RunEvent>> {
  const row = rowOf(kernel, ref);
  const { lastSeq } = viewOf(kernel, row);
  const page = { afterSeq, limit, bytesMax: pageBytesMax, throughSeq: lastSeq };
  const items = await kernel.store.readHistory(row.runNo, page);
  const last = items.at(-1);
  return { items, more: last !== undefined && last.seq < lastSeq };
}

/** Every event of a run behind `afterSeq` in order, in pages. */
export async function* pages(kernel: Kernel, row: RunRow, afterSeq = 0): AsyncGenerator<RunEvent[]> {
  const bounds = { limit: pageSizeMax, bytesMax: pageBytesMax, throughSeq: row.lastSeq };
  for (let seenSeq = afterSeq; ; ) {
    const events = await kernel.store.readHistory(row.runNo, { afterSeq: seenSeq, ...bounds });
    const last = events.at(-1);
    if (last === undefined) return;
    yield events;
    seenSeq = last.seq;
  }
}

export async function foldRun(kernel: Kernel, row: RunRow): Promise<RunState> {
  const state = createState(row);
  for await (const events of pages(kernel, row)) for (const event of events) evolve(state, event);
  return state;
}

export async function listSteps(
  kernel: Kernel,
  ref: RunRef,
  { offset, limit }: { offset: number; limit: number },
): Promise<Page<StepView>> {
  const row = rowOf(kernel, ref);
  const state = await foldRun(kernel, row);
  const keys = [...state.steps.keys()].slice(offset, offset + limit);
  const wanted = new Map<string, { seq: number; result?: RunEvent; input?: RunEvent["payload"] }>();
  const payloadsOf = new Map<number, string>();
  for (const key of keys) {
    const step = state.steps.get(key);
    if (step === undefined) continue;
    wanted.set(key, { seq: step.seq });
    if (step.signalSeq !== 0) payloadsOf.set(step.signalSeq, key);
  }
  const signalPayloads = new Map<string, RunEvent["payload"]>();
  if (wanted.size > 0) {
    for await (const events of pages(kernel, row)) {
      for (const event of events) {
        const consumer = payloadsOf.get(event.seq);
        if (consumer !== undefined) signalPayloads.set(consumer, event.payload);
        const want = event.stepKey === "" ? undefined : wanted.get(event.stepKey);
        if (want === undefined) continue;
        if (event.type === "StepStarted" && event.payload !== undefined) want.input = event.payload;
        if (event.seq === want.seq) want.result = event;
      }
    }
  }
  const items = keys.map((stepKey): StepView => {
    const step = state.steps.get(stepKey);
    const want = wanted.get(stepKey);
    if (step === undefined) throw new Error(`step ${stepKey} left the fold`);
    const result = want?.result;
    const done = step.status === "completed" || step.status === "failed" || step.status === "cancelled";
    return {
      stepKey,
      kind: step.kind,
      status: step.status,
      attempt: step.attempt,
      input: want?.input,
      output:
        step.kind === "signal"
          ? signalPayloads.get(stepKey)
          : result?.type === "StepCompleted"
            ? result.payload
            : undefined,
      failure:
        result?.type === "StepFailed" || result?.type === "StepAttemptFailed" ? result.detail.failure : undefined,
      startedAtMs: step.startedAtMs,
      endedAtMs: done ? (result?.atMs ?? 0) : 0,
      retryAtMs: step.status === "retrying" ? step.retryAtMs : 0,
    };
  });
  return { items, more: offset + keys.length < state.steps.size };
}

export async function listSignals(
  kernel: Kernel,
  ref: RunRef,
  { onlyOpen, afterSeq, limit }: { onlyOpen: boolean; afterSeq: number; limit: number },
): Promise<Page<SignalInfo>> {
  const row = rowOf(kernel, ref);
  const state = await foldRun(kernel, row);
  const open = new Set(state.signals.map((signal) => signal.seq));
  const consumers = new Map<number, string>();
  for (const [stepKey, step] of state.steps) if (step.signalSeq !== 0) consumers.set(step.signalSeq, stepKey);
  const items: SignalInfo[] = [];
  for await (const events of pages(kernel, row)) {
    for (const event of events) {
      if (event.type !== "SignalReceived" || event.seq <= afterSeq || (onlyOpen && !open.has(event.seq))) continue;
      if (items.length === limit) return { items, more: true };
      items.push({
        seq: event.seq,
        name: event.detail.name,
        payload: event.payload,
        receivedAtMs: event.atMs,
        consumedBy: consumers.get(event.seq) ?? "",
        open: open.has(event.seq),
      });
    }
  }
  return { items, more: false };
}

export function timersOf(state: RunState): TimerInfo[] {
  return [...state.timers].map(([stepKey, timer]) => ({
    stepKey,
    kind: timer.signalName === "" ? "sleep" : "waitTimeout",
    firesAtMs: timer.firesAtMs,
  }));
}
