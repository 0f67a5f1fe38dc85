import { createHash } from "node:crypto";
import { uuidv7 } from "uuidv7";
import type { RunCommand } from "../core/command.ts";
import { decide } from "../core/decide.ts";
import { corrupt, decideStartRun, isOpen } from "../core/decide-run.ts";
import type { Accepted } from "../core/decision.ts";
import { EngineError, type Refusal, refuse } from "../core/errors.ts";
import { createState } from "../core/new-state.ts";
import { payloadBytes } from "../core/payload.ts";
import { emptyMap } from "../core/sparse-map.ts";
import { finalStatuses } from "../core/state.ts";
import type { RunRef, RunView, SignalInfo, StartOutcome, StartRequest } from "./api.ts";
import { decideContext, type Kernel } from "./kernel.ts";
import { readEvent, readPayload } from "./run-events.ts";
import { createEntry, type RunEntry } from "./run-table.ts";
import { readView, viewOf } from "./run-view.ts";
import type { Transaction } from "./transaction.ts";

// What callers and operators ask of runs. Each is one piece of work: judged and recorded in the writer's order,
// answered when durable. Uniqueness of run ids and run keys is judged here, because core sees one run at a time.

interface ChosenId {
  readonly runId: string;
  /** Made for this call: no run has it, and the file is not asked. Its unique index would refuse a second one. */
  readonly unheard: boolean;
}

/** Without an id from the caller, the same (namespace, request_id) gives the same run; without both, every call a new one. */
function chooseRunId(request: StartRequest): ChosenId {
  if (request.runId !== "") return { runId: request.runId, unheard: false };
  if (request.requestId === "") return { runId: uuidv7(), unheard: true };
  const digest = createHash("sha256").update(`${request.namespace}\u0000${request.requestId}`).digest("hex");
  return { runId: `r-${digest.slice(0, 32)}`, unheard: false };
}

/** The run that has the id already. */
function holderOf(kernel: Kernel, namespace: string, { runId, unheard }: ChosenId): RunEntry | undefined {
  return unheard ? undefined : kernel.runs.find(namespace, runId);
}

/** `bytes` is the payload that it carries while it waits, `commands` what it counts for. */
export function submit<T>(kernel: Kernel, run: (transaction: Transaction) => T, bytes = 0, commands = 1): Promise<T> {
  return new Promise((resolve, reject) => {
    kernel.writer.submit({
      bytes,
      commands,
      run(transaction) {
        const answer = run(transaction);
        transaction.after(() => resolve(answer));
      },
      refuse: (refusal) => reject(new EngineError(refusal)),
    });
  });
}

export function startRuns(kernel: Kernel, requests: readonly StartRequest[]): Promise<StartOutcome[]> {
  const named = requests.map((request) => ({ request, id: chooseRunId(request) }));
  let bytes = 0;
  for (const { input } of requests) bytes += payloadBytes(input);
  return submit(
    kernel,
    (transaction) => named.map(({ request, id }) => startOne(kernel, transaction, request, id)),
    bytes,
    requests.length,
  );
}

/** One start, and the run as its commit left it: what was just written need not be read. */
export async function startRun(kernel: Kernel, request: StartRequest): Promise<{ run: RunView; already: boolean }> {
  const id = chooseRunId(request);
  const { outcome, batch } = await submit(
    kernel,
    (transaction) => ({ outcome: startOne(kernel, transaction, request, id), batch: transaction.batch }),
    payloadBytes(request.input),
  );
  if (outcome.kind === "refused") throw new EngineError(outcome);
  const { runId, runNo, already } = outcome;
  const row = batch.runs.find((written) => written.runNo === runNo);
  // What has ended a run has more to tell than its row.
  const told = row !== undefined && !already && !finalStatuses.has(row.status);
  const run = told
    ? viewOf(kernel, row, { input: request.input })
    : readView(kernel, { namespace: request.namespace, runId });
  if (run === undefined) throw new Error(`run ${runId} was started and is not there`);
  return { run, already };
}

function startOne(kernel: Kernel, transaction: Transaction, request: StartRequest, id: ChosenId): StartOutcome {
  const { namespace, workflow, runKey } = request;
  const { runId } = id;
  let existing: RunEntry | undefined;
  let taken: Refusal | undefined;
  try {
    existing = holderOf(kernel, namespace, id);
    taken = existing === undefined ? runKeyTaken(kernel, namespace, workflow, runKey) : undefined;
  } catch (error) {
    // What cannot be read refuses this start, not those beside it, which are decided by now.
    if (error instanceof EngineError) return error.refusal;
    throw error;
  }
  if (existing !== undefined) {
    const { state } = existing;
    if (request.requestId !== "" && state.requestId === request.requestId) {
      return { kind: "started", runId, runNo: state.runNo, already: true };
    }
    const text = `run ${JSON.stringify(runId.slice(0, 100))} exists in namespace ${namespace} and is ${state.status}`;
    return refuse("RUN_EXISTS", text, { field: "run_id", runId });
  }
  if (taken !== undefined) return taken;
  const state = createState({ runNo: kernel.nextRunNo(), namespace, runId });
  transaction.claimWrite();
  const entry = createEntry(state);
  // The file has none of a run that is new.
  entry.deadlines = emptyMap();
  kernel.runs.add(entry);
  kernel.recorder.record(transaction, entry, [decideStartRun({ ...request, type: "StartRun" }, kernel.time.nowMs())]);
  kernel.runKeys.take(entry, transaction.commitNo);
  return { kind: "started", runId, runNo: state.runNo, already: false };
}

function runKeyTaken(kernel: Kernel, namespace: string, workflow: string, runKey: string): Refusal | undefined {
  if (runKey === "") return undefined;
  const holder = kernel.runKeys.holder(namespace, workflow, runKey);
  if (holder === undefined) return undefined;
  const { runId } = holder.state;
  const text = `run key ${JSON.stringify(runKey.slice(0, 100))} of workflow ${workflow} is held by open run ${JSON.stringify(runId.slice(0, 100))}`;
  return refuse("RUN_KEY_TAKEN", text, { field: "run_key", runId });
}

export function signalWithStart(
  kernel: Kernel,
  request: StartRequest,
  signal: { readonly name: string; readonly payload: StartRequest["input"]; readonly requestId: string },
): Promise<{ ref: RunRef; started: boolean; signalSeq: number }> {
  const chosen = chooseRunId(request);
  return submit(
    kernel,
    (transaction) => {
      const { namespace, workflow, runKey } = request;
      let entry = holderOf(kernel, namespace, chosen);
      if (entry === undefined && runKey !== "") entry = kernel.runKeys.holder(namespace, workflow, runKey);
      let started = false;
      if (entry === undefined) {
        const outcome = startOne(kernel, transaction, request, chosen);
        if (outcome.kind === "refused") throw new EngineError(outcome);
        started = true;
        entry = kernel.runs.get(outcome.runNo) as RunEntry;
      }
      const command: RunCommand = { type: "SignalRun", ...signal };
      const accepted = apply(kernel, transaction, entry, command);
      return { ref: { namespace, runId: entry.state.runId }, started, signalSeq: signalSeqOf(accepted) };
    },
    payloadBytes(request.input) + payloadBytes(signal.payload),
  );
}

export function signalRun(
  kernel: Kernel,
  ref: RunRef,
  signal: { readonly name: string; readonly payload: StartRequest["input"]; readonly requestId: string },
): Promise<{ signalSeq: number; already: boolean }> {
  return submit(
    kernel,
    (transaction) => {
      const accepted = apply(kernel, transaction, existingRun(kernel, ref), { type: "SignalRun", ...signal });
      return { signalSeq: signalSeqOf(accepted), already: accepted.already };
    },
    payloadBytes(signal.payload),
  );
}

function signalSeqOf(accepted: Accepted): number {
  const [note] = accepted.notes;
  return note?.kind === "signal" ? note.signalSeq : 0;
}

/** A timer that needs no lease. */
export function addTimer(kernel: Kernel, ref: RunRef, firesAtMs: number): Promise<{ seq: number }> {
  return submit(kernel, (transaction) => {
    const accepted = apply(kernel, transaction, existingRun(kernel, ref), { type: "AddTimer", firesAtMs });
    return { seq: accepted.events[0]?.seq ?? 0 };
  });
}

/** The oldest open signal, with its payload; undefined when none is open. */
export function takeSignal(kernel: Kernel, ref: RunRef): Promise<SignalInfo | undefined> {
  return submit(kernel, (transaction) => {
    const entry = existingRun(kernel, ref);
    const [oldest] = entry.state.signals;
    if (oldest === undefined) {
      // Of a run that is closed or set aside it is refused.
      if (!isOpen(entry.state) || entry.corrupt) apply(kernel, transaction, entry, { type: "TakeSignal" });
      return undefined;
    }
    // Read first: one that cannot be read must not be taken.
    const received = readEvent(kernel.store, entry, oldest.seq);
    if (received?.type !== "SignalReceived") throw new Error("an open signal is no signal");
    apply(kernel, transaction, entry, { type: "TakeSignal" });
    const { seq, payload, atMs, detail } = received;
    return { seq, name: detail.name, payload, receivedAtMs: atMs, consumedBy: "", open: false };
  });
}

/** Cancel, terminate, pause, resume, retry. */
export function commandRun(kernel: Kernel, ref: RunRef, command: RunCommand): Promise<void> {
  return submit(kernel, (transaction) => {
    const entry = existingRun(kernel, ref);
    const { state } = entry;
    const repeated = command.type === "RetryRun" && state.retryRequests.has(command.requestId);
    if (command.type === "RetryRun" && state.status === "FAILED" && !repeated) {
      const taken = runKeyTaken(kernel, state.namespace, state.workflow, state.runKey);
      if (taken !== undefined) throw new EngineError(taken);
    }
    const accepted = apply(kernel, transaction, entry, command);
    if (command.type === "RetryRun" && !accepted.already) kernel.runKeys.take(entry, transaction.commitNo);
  });
}

export function existingRun(kernel: Kernel, ref: RunRef): RunEntry {
  const entry = kernel.runs.find(ref.namespace, ref.runId);
  if (entry !== undefined) return entry;
  throw new EngineError(runNotFound(ref));
}

export function runNotFound(ref: RunRef): Refusal {
  const text = `there is no run ${JSON.stringify(ref.runId.slice(0, 100))} in namespace ${ref.namespace}`;
  return refuse("RUN_NOT_FOUND", text, { field: "run_id" });
}

function apply(kernel: Kernel, transaction: Transaction, entry: RunEntry, command: RunCommand): Accepted {
  if (entry.corrupt) return applyToCorrupt(kernel, transaction, entry, command);
  const decision = decide(
    entry.state,
    command,
    decideContext(kernel, (seq) => readPayload(kernel.store, entry, seq)),
  );
  if (decision.kind === "refused") throw new EngineError(decision);
  if (decision.kind !== "accepted") throw new Error(`${command.type} was decided as ${decision.kind}`);
  kernel.recorder.record(transaction, entry, decision.events);
  return decision;
}

/** A history that cannot be read cannot be extended: the end is kept on the row, whose pause reason says so to verify. */
function applyToCorrupt(kernel: Kernel, transaction: Transaction, entry: RunEntry, command: RunCommand): Accepted {
  const { state } = entry;
  if (command.type !== "TerminateRun") throw new EngineError(corrupt(state));
  const done: Accepted = {
    kind: "accepted",
    events: [],
    starts: new Map(),
    already: finalStatuses.has(state.status),
    notes: [],
  };
  if (done.already) return done;
  transaction.claimWrite();
  state.status = "TERMINATED";
  state.version += 1;
  state.closedAtMs = kernel.time.nowMs();
  state.updatedAtMs = state.closedAtMs;
  kernel.recorder.recordRow(transaction, entry);
  return done;
}
