import { deadlinesOf, rankOf } from "../../core/rows.ts";
import type { RunStatus } from "../../core/state.ts";
import { utf8Length } from "../../core/payload.ts";
import {
  batchBytesMax,
  batchEventsMax,
  historyBytesMax,
  historyEventsMax,
  nameBytesMax,
  runIdBytesMax,
} from "../../limits.ts";
import { type Batch, type RunRow, runRowOf } from "../store.ts";
import { type History, historyOf } from "./history.ts";
import type { SeedFile, SeedRun } from "./seed-file.ts";
import type { ImportTarget } from "./target.ts";

// Brings the workflows of a file of the predecessor into one of ours, the oldest first, in commits of many workflows
// each. A workflow is in the file whole or not at all, and one that is there already is left alone: an import that was
// cut off is simply run again.

export interface ImportOptions {
  /** The predecessor's file, open. Closing it is the caller's. */
  readonly file: SeedFile;
  readonly target: ImportTarget;
  readonly namespace: string;
  readonly queue: string;
  readonly nowMs: number;
  readonly newLeaseId: () => string;
  /** Something that is not carried, or not as it was. workflowId is empty when it is about the file. */
  readonly onLoss: (loss: { workflowId: string; message: string }) => void;
  readonly onProgress?: (imported: Imported) => void;
}

export interface Imported {
  /** Workflows of the predecessor's file. */
  workflows: number;
  /** Of these: brought in now, there already, and not carried at all. */
  imported: number;
  present: number;
  refused: number;
  /** Of the ones brought in: rows of the predecessor. */
  events: number;
  steps: number;
  signals: number;
  timers: number;
  /** Of the ones brought in: their statuses here. */
  statuses: Partial<Record<RunStatus, number>>;
  losses: number;
}

const progressEveryRuns = 1_000;

export async function importSeed(options: ImportOptions): Promise<Imported> {
  const { file, target, onProgress } = options;
  const done: Imported = {
    workflows: file.workflows,
    imported: 0,
    present: 0,
    refused: 0,
    events: 0,
    steps: 0,
    signals: 0,
    timers: 0,
    statuses: {},
    losses: 0,
  };
  const lose = (workflowId: string, message: string): void => {
    done.losses += 1;
    options.onLoss({ workflowId, message });
  };
  for (const message of file.left) lose("", message);
  let { commitNo, lastRunNo, newestAtMs } = target.readMeta();
  newestAtMs = Math.max(newestAtMs, options.nowMs);
  let batch = emptyBatch(commitNo + 1, newestAtMs);
  let batchBytes = 0;
  const commit = async (): Promise<void> => {
    if (batch.runs.length === 0) return;
    await target.commit(batch);
    commitNo += 1;
    batch = emptyBatch(commitNo + 1, newestAtMs);
    batchBytes = 0;
  };
  for (const run of file.runs()) {
    const id = run.workflow.workflow_id;
    const verdict = judge(run, target, options.namespace);
    if (verdict === "present") done.present += 1;
    else if (verdict === "new") {
      const history = historyOf(run, { ...options, runNo: lastRunNo + 1, onLoss: (message) => lose(id, message) });
      const excess = excessOf(history);
      if (excess === undefined) {
        lastRunNo += 1;
        batchBytes += history.state.historyBytes;
        addTo(batch, history, options.nowMs);
        count(done, run, history);
      } else {
        done.refused += 1;
        lose(id, `the workflow is not carried: ${excess}`);
      }
    } else {
      done.refused += 1;
      lose(id, `the workflow is not carried: ${verdict}`);
    }
    if (batch.events.length >= batchEventsMax || batchBytes >= batchBytesMax) await commit();
    if ((done.imported + done.present + done.refused) % progressEveryRuns === 0) onProgress?.({ ...done });
  }
  await commit();
  if (file.changed()) lose("", "somebody wrote to the file meanwhile: what is new there is not carried, import again");
  return done;
}

function emptyBatch(commitNo: number, newestAtMs: number): Batch {
  return { commitNo, newestAtMs, events: [], runs: [], deadlines: [] };
}

const seedStatuses: ReadonlySet<string> = new Set(["QUEUED", "RUNNING", "WAITING", "COMPLETED", "FAILED"]);
const controlCharacter = /\p{Cc}/u;

/** "new", "present", or why it cannot be carried: what no call could name or start here is not brought in either. */
function judge({ workflow }: SeedRun, target: ImportTarget, namespace: string): string {
  const { workflow_id: id, workflow_type: type, status } = workflow;
  if (typeof id !== "string" || id === "") return "its id is empty";
  if (utf8Length(id) > runIdBytesMax) return `its id has ${utf8Length(id)} bytes, the limit is ${runIdBytesMax}`;
  if (controlCharacter.test(id)) return "its id has a control character";
  if (typeof type !== "string" || type === "") return "its type is empty";
  if (utf8Length(type) > nameBytesMax) return `its type has ${utf8Length(type)} bytes, the limit is ${nameBytesMax}`;
  if (!seedStatuses.has(status)) return `its status ${JSON.stringify(status)} is unknown`;
  const row = target.findRun(namespace, id);
  if (row === undefined) return "new";
  return isSame(row, workflow) ? "present" : "another run has its id";
}

/** Brought in before, whatever has become of it since. */
function isSame(row: RunRow, workflow: SeedRun["workflow"]): boolean {
  return row.workflow === workflow.workflow_type && Math.floor(row.createdAtMs / 1_000) === workflow.created_at;
}

/** The engine would close a run whose history is over its limit. */
function excessOf({ state }: History): string | undefined {
  if (state.lastSeq > historyEventsMax) return `its ${state.lastSeq} events pass the limit of ${historyEventsMax}`;
  if (state.historyBytes > historyBytesMax)
    return `its ${state.historyBytes} bytes pass the limit of ${historyBytesMax}`;
  return undefined;
}

function addTo(batch: Batch, { state, events }: History, nowMs: number): void {
  const { runNo } = state;
  const inLine = state.status === "QUEUED" && state.availableAtMs <= nowMs;
  for (const event of events) batch.events.push({ runNo, event });
  batch.runs.push(runRowOf(state, inLine ? rankOf(state) : undefined, batch.commitNo));
  for (const deadline of deadlinesOf(state, inLine)) batch.deadlines.push({ op: "put", runNo, ...deadline });
}

function count(done: Imported, run: SeedRun, { state }: History): void {
  done.imported += 1;
  done.events += run.events.length;
  done.steps += run.steps.length;
  done.signals += run.signals.length;
  done.timers += run.timers.length;
  done.statuses[state.status] = (done.statuses[state.status] ?? 0) + 1;
}
