import { EngineError, refuse } from "../core/errors.ts";
import type { RunEvent } from "../core/event.ts";
import type { PauseReason } from "../core/event.ts";
import { type DeadlineKind, finalStatuses, type RunState, type RunStatus } from "../core/state.ts";

// The port between the engine and a file. Adapters decide nothing: they write what a batch says, whole or not at all,
// and read it back. Two adapters exist, memory (the oracle of the tests) and sqlite; test/store runs one suite on both.
//
// Two kinds of reads:
// - Decision reads are synchronous and see the newest committed state, at least everything that any resolved commit()
//   wrote, possibly a commit whose promise has not resolved yet. The engine lays what it decided since over them.
// - Queries are asynchronous, run in another thread, open their snapshot after the call and close it before they answer.

/** One run as rows keep it. Times are Unix milliseconds of server time, 0 when unset. */
export interface RunRow {
  runNo: number;
  namespace: string;
  runId: string;
  workflow: string;
  queue: string;
  /** Empty when none. Unique among open runs of (namespace, workflow). */
  runKey: string;
  status: RunStatus;
  pauseReason: PauseReason | undefined;
  cancelRequested: boolean;
  priority: number;
  version: number;
  stepsCompleted: number;
  lastSeq: number;
  epoch: number;
  /** Holder of the live lease; empty when none. */
  workerId: string;
  createdAtMs: number;
  updatedAtMs: number;
  startedAtMs: number;
  closedAtMs: number;
  availableAtMs: number;
  timeoutAtMs: number;
  /** Place in its line while QUEUED and available now; undefined otherwise. */
  rank: number | undefined;
  /** The commit that wrote the row: a serving cursor that verify leaves out. Set by the store. */
  commitNo: number;
}

/** The row of a run as its state says. */
export function runRowOf(state: RunState, rank: number | undefined, commitNo: number): RunRow {
  return {
    runNo: state.runNo,
    namespace: state.namespace,
    runId: state.runId,
    workflow: state.workflow,
    queue: state.queue,
    runKey: state.runKey,
    status: state.status,
    pauseReason: state.pauseReason,
    cancelRequested: state.cancel !== undefined && !finalStatuses.has(state.status),
    priority: state.priority,
    version: state.version,
    stepsCompleted: state.stepsCompleted,
    lastSeq: state.lastSeq,
    epoch: state.epoch,
    workerId: state.lease?.workerId ?? "",
    createdAtMs: state.createdAtMs,
    updatedAtMs: state.updatedAtMs,
    startedAtMs: state.startedAtMs,
    closedAtMs: state.closedAtMs,
    availableAtMs: state.availableAtMs,
    timeoutAtMs: state.timeoutAtMs,
    rank,
    commitNo,
  };
}

export interface EventRow {
  runNo: number;
  event: RunEvent;
}

export interface DeadlineRow {
  runNo: number;
  kind: DeadlineKind;
  stepKey: string;
  dueAtMs: number;
}

/** What one commit writes. */
export interface Batch {
  /** Increases by one with each commit; stored as commit_no of the rows that it writes and in the meta row. */
  commitNo: number;
  /** Newest instant given out; server time never goes back behind it. */
  newestAtMs: number;
  /** In order. (runNo, seq) must be new; a second successful result of a step key is a constraint error. */
  events: EventRow[];
  /** Whole rows to insert or replace, at most one for each run. */
  runs: RunRow[];
  /** (runNo, kind, stepKey) is unique: a put replaces. Deletes of absent rows are allowed. Applied in order. */
  deadlines: (({ op: "put" } & DeadlineRow) | { op: "delete"; runNo: number; kind: DeadlineKind; stepKey: string })[];
}

/** A run that nobody has had yet: QUEUED, with no other event than its first. */
export interface UngrantedRun {
  runNo: number;
  namespace: string;
  runId: string;
  /** As in its row. */
  rank: number | undefined;
  created: RunEvent;
}

export type CommitOutcome =
  /** Written and synced. */
  | { kind: "durable" }
  /** No room; nothing of the batch is in the file. */
  | { kind: "full"; message: string }
  /** A constraint refused it: a bug of ours. Nothing of the batch is in the file. */
  | { kind: "constraint"; message: string }
  /** I/O error or failed sync: what is in the file is unknown. The process must stop. */
  | { kind: "fatal"; message: string };

export interface RunFilter {
  namespace: string;
  /** Empty means all; the same for the others. */
  workflow: string;
  queue: string;
  statuses: readonly RunStatus[];
  runKey: string;
}

/** A part of a run's history: from behind `afterSeq` until it ends or a bound is reached. */
export interface HistoryPage {
  afterSeq: number;
  /** Events at most. */
  limit: number;
  /** Bytes at most, unless the first event alone has more. */
  bytesMax: number;
  /** The file is known to have the events up to here: a history that ends before is damaged. 0 when nothing is known. */
  throughSeq: number;
}

export interface StepStatsRow {
  stepKey: string;
  completed: number;
  averageDurationMs: number;
}

/** Thrown by reads that meet a row that fails its CRC or cannot be decoded; callers are told CORRUPT_HISTORY. */
export class CorruptRowError extends EngineError {
  readonly runNo: number;
  readonly seq: number;
  constructor(runNo: number, seq: number, detail: string) {
    super(refuse("CORRUPT_HISTORY", `the history of run number ${runNo} cannot be read at seq ${seq}: ${detail}`));
    this.name = "CorruptRowError";
    this.runNo = runNo;
    this.seq = seq;
  }
}

/**
 * Thrown by reads of a file that cannot be followed, its pages or indexes, or that the disk does not give: no single run
 * is to blame.
 */
export class UnreadableFileError extends EngineError {
  /** What the library below said of it. */
  readonly detail: string;
  constructor(detail: string) {
    super(refuse("INTERNAL", `the file cannot be read: ${detail} ("everstep verify" reads all of it)`));
    this.name = "UnreadableFileError";
    this.detail = detail;
  }
}

export interface Store {
  /** "memory" or the path of the file. */
  readonly name: string;

  // ---- writing
  /**
   * One transaction, one sync. A second one may be given while the first is under way; both are written in order. One
   * whose number does not follow that of the last commit in the file is a constraint error: what was decided on top of
   * a commit that failed is never written.
   */
  commit(batch: Batch): Promise<CommitOutcome>;
  /** A small write that shows whether there is room again. */
  probe(): Promise<CommitOutcome>;

  // ---- decision reads
  readMeta(): { commitNo: number; newestAtMs: number; lastRunNo: number };
  findRun(namespace: string, runId: string): RunRow | undefined;
  getRun(runNo: number): RunRow | undefined;
  findOpenRunByKey(namespace: string, workflow: string, runKey: string): RunRow | undefined;
  /** Events in order, payloads included, CRC checked. Throws CorruptRowError, for one that is missing too. */
  readEvents(runNo: number, page: HistoryPage): RunEvent[];
  /**
   * Those of these runs (each named once) that nobody has had yet, in no order. Left out is also what cannot be read,
   * and whose first event has more than about bytesMax: who asks for such a run by itself is told or gets it.
   */
  readUngranted(runNos: readonly number[], bytesMax: number): UngrantedRun[];
  /** The events that an op wrote, in order; empty when there are none. */
  findOp(runNo: number, epoch: number, opId: number): RunEvent[];
  /** Runs of a line in order of (rank, runNo), strictly behind the given place. */
  scanLine(options: {
    namespace: string;
    queue: string;
    workflow: string;
    afterRank: number;
    afterRunNo: number;
    limit: number;
  }): { runNo: number; rank: number }[];
  /** Names of the workflows that have available runs in a queue. */
  listLineWorkflows(namespace: string, queue: string): string[];
  /** Deadlines in order of (dueAtMs, runNo, kind, stepKey), strictly behind the given one (undefined: from the start). */
  scanDeadlines(options: { after: DeadlineRow | undefined; limit: number }): DeadlineRow[];
  /** Deadlines of one run. */
  readDeadlines(runNo: number): DeadlineRow[];
  /** All RUNNING runs: what start-up has to load. */
  listLeased(): RunRow[];

  // ---- queries
  /** By runNo descending (newest first), runNo < beforeRunNo. */
  listRuns(filter: RunFilter, options: { beforeRunNo: number; limit: number }): Promise<RunRow[]>;
  countRuns(filter: RunFilter): Promise<{ status: RunStatus; count: number }[]>;
  /** Runs whose row changed, in order of (commitNo, runNo), strictly behind the given place. */
  listChangedRuns(
    filter: RunFilter,
    options: { afterCommitNo: number; afterRunNo: number; limit: number },
  ): Promise<RunRow[]>;
  /** As readEvents, in another thread. */
  readHistory(runNo: number, page: HistoryPage): Promise<RunEvent[]>;
  stepStats(options: { namespace: string; workflow: string; limit: number }): Promise<StepStatsRow[]>;

  /** Copies the file page by page while it is in use. Memory: refused. */
  backup(path: string): Promise<void>;
  /** Bytes of the file and its WAL, for /metrics; 0 for memory. */
  fileBytes(): { databaseBytes: number; walBytes: number };
  /** Ends threads and connections; a clean close leaves no WAL behind. */
  close(): Promise<void>;
}
