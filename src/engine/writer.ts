import { EngineError, type Refusal, refuse, shuttingDown } from "../core/errors.ts";
import type { Batch, CommitOutcome, Store } from "../store/store.ts";
import type { Clock } from "./clock.ts";
import { createMailbox } from "./mailbox.ts";
import type { Log } from "./telemetry.ts";
import { createPace, type PaceLimits } from "./pace.ts";
import { type OpenBatch, openBatch, type Transaction, type Work, writes } from "./transaction.ts";

// The writer: one loop, many callers. Work gathers in a bounded mailbox; the loop decides it in order against decided
// state and collects what it decided in the open batch. While a commit is under way the next batch gathers and is
// decided; when that has grown as large, it is given to the store too, which begins with it without waiting for this
// loop to hear of the first; behind a slow commit it is delayed a little (pace.ts). Outcomes are told only when every
// batch decided before them is durable, in order.
//
//   OPEN --full disk--> FULL --probe write succeeds--> OPEN       any other write error --> STOPPED, for ever
//
// A failed commit takes its successors with it: what was decided on top of it is discarded, the callers are refused,
// and everything in memory is rebuilt from the file. After a constraint error (a bug of ours) the discarded work is
// decided again, one piece in a commit, and the one that fails again is refused alone.

export interface WriterHooks {
  /** Server time for the batch. */
  nowMs(): number;
  /** Adds what the server has to do now: due deadlines. True when more is left. */
  gather(transaction: Transaction): boolean;
  /** The batch is about to be committed: pending starts, grants, rows. */
  seal(transaction: Transaction, alone: boolean): void;
  /** The batch is durable and took this long, at most since the one before it was heard of; runs before its callbacks. */
  durable(batch: Batch, commitMs: number): void;
  /** Discard everything decided and read the file again. */
  rebuild(): void;
  /** Writing is possible again. */
  reopened(): void;
  /** The engine must stop: nothing is acknowledged any more. */
  fatal(message: string): void;
}

export interface Writer {
  submit(work: Work): void;
  /** Something may be due: decide and commit soon. */
  nudge(): void;
  readonly state: "open" | "full" | "stopped";
  readonly durableCommitNo: number;
  /** Resolves when everything submitted so far is durable or refused. */
  idle(): Promise<void>;
  stop(): void;
  readonly waiting: number;
}

export function createWriter(options: {
  store: Store;
  clock: Clock;
  log: Log;
  hooks: WriterHooks;
  limits: PaceLimits & {
    mailboxLengthMax: number;
    batchCommandsMax: number;
    batchEventsMax: number;
    batchBytesMax: number;
    mailboxBytesMax: number;
    probeIntervalMs: number;
  };
}): Writer {
  const { store, clock, log, hooks, limits } = options;
  const mailbox = createMailbox<Work>(limits);
  const pace = createPace(clock, limits, schedule);
  let state: Writer["state"] = "open";
  let durableCommitNo = store.readMeta().commitNo;
  let open = openBatch(durableCommitNo + 1, claimWrite);
  /** What the store has: one that it commits and at most one behind it, which it refuses when the first one fails. */
  let committing: OpenBatch[] = [];
  let scheduled = false;
  /** Works at the head of the mailbox that are decided one per commit. */
  let alone = 0;
  let idlers: (() => void)[] = [];

  function claimWrite(): void {
    if (state === "full") throw new EngineError(diskFull());
  }
  function diskFull(): Refusal {
    return refuse("DISK_FULL", "the disk is full; reads go on, writing resumes when there is room", {
      retryAfterMs: limits.probeIntervalMs,
    });
  }

  function schedule(): void {
    if (scheduled || state === "stopped") return;
    scheduled = true;
    clock.defer(() => {
      scheduled = false;
      takeTurn(drain);
    });
  }

  /** What is thrown outside of a work, or by one in the middle of its events, leaves half of a decision behind: the end. */
  function takeTurn(turn: () => void): void {
    try {
      turn();
    } catch (error) {
      log.error({ err: error }, "the writer could not take its turn");
      stopFatally(`the writer could not take its turn: ${String(error)}`);
    }
  }

  function hasRoom(): boolean {
    const { batch } = open;
    if (alone > 0 || open.alone) return open.works.length === 0 && committing.length === 0 && !writes(open);
    return (
      open.works.length < limits.batchCommandsMax &&
      batch.events.length < limits.batchEventsMax &&
      open.bytes < limits.batchBytesMax
    );
  }

  function drain(): void {
    if (state === "stopped") return;
    let untilHeadStart = headStartCommands();
    while (mailbox.length > 0 && hasRoom()) {
      const work = mailbox.shift() as Work;
      decide(work);
      untilHeadStart -= work.commands ?? 1;
      if (untilHeadStart > 0 || committing.length > 0) continue;
      untilHeadStart = Number.POSITIVE_INFINITY;
      flush();
    }
    if (alone === 0 && hasRoom() && state === "open" && hooks.gather(open)) schedule();
    if (committing.length === 0 ? !isDelayed() : isWorthQueueing()) flush();
  }

  /** Of two batches at the store the second waits for the first; a third would gain nothing. */
  function isWorthQueueing(): boolean {
    const [underWay] = committing;
    if (underWay === undefined || committing.length > 1 || alone > 0 || open.alone) return false;
    return pace.isWorthQueueing(open.batch.events.length, underWay.batch.events.length);
  }
  function isDelayed(): boolean {
    return alone === 0 && !open.alone && hasRoom() && pace.isDelayed(open.asked);
  }
  function headStartCommands(): number {
    const isIdle = committing.length === 0 && alone === 0 && !open.alone;
    return isIdle ? pace.headStartCommands(mailbox.commands) : Number.POSITIVE_INFINITY;
  }

  function decide(work: Work): void {
    if (alone > 0) {
      alone -= 1;
      open.alone = true;
    }
    open.works.push(work);
    const { events } = open.batch;
    const from = events.length;
    try {
      work.run(open);
      for (let i = from; i < events.length; i++) open.bytes += events[i]?.event.bytes ?? 0;
      open.asked += events.length - from;
    } catch (error) {
      if (events.length > from) throw error; // half of it must not be committed
      // It stays among the works of the batch: when that one fails, this is discarded and answered with the others.
      const refusal = isRefusal(error) ? error.refusal : internalError(error);
      open.after(() => work.refuse(refusal));
    }
  }
  /** Not a bug of ours, nor a file that cannot be read. */
  function isRefusal(error: unknown): error is EngineError {
    return error instanceof EngineError && error.reason !== "INTERNAL";
  }
  function internalError(error: unknown): Refusal {
    log.error({ err: error }, "a command could not be decided");
    return error instanceof EngineError ? error.refusal : refuse("INTERNAL", "a bug of ours; the server's log has it");
  }

  /** Commits the open batch, or answers it at once when it writes nothing. */
  function flush(): void {
    for (;;) {
      const batch = prepare();
      if (batch === undefined) break;
      if (writes(batch)) return commit(batch);
      runCallbacks(batch);
      if (mailbox.length > 0) return schedule();
    }
    if (mailbox.length > 0) schedule();
    else settleIdlers();
  }

  /** Seals the open batch and opens the next; undefined when there is nothing in it. */
  function prepare(): OpenBatch | undefined {
    pace.release();
    if (state === "open") hooks.seal(open, alone > 0 || open.alone);
    if (open.works.length === 0 && open.callbacks.length === 0 && !writes(open)) return undefined;
    const sealed = open;
    open = openBatch(writes(sealed) ? sealed.commitNo + 1 : sealed.commitNo, claimWrite);
    return sealed;
  }
  function commit(batch: OpenBatch): void {
    if (committing.length === 0) pace.began();
    committing.push(batch);
    batch.batch.newestAtMs = hooks.nowMs();
    store.commit(batch.batch).then(
      (outcome) => takeTurn(() => finish(batch, outcome)),
      (error: unknown) => stopFatally(String(error)),
    );
    for (const run of batch.besides) doBeside(run);
  }

  /** Whoever asked gets by without. */
  function doBeside(run: () => void): void {
    try {
      run();
    } catch (error) {
      log.error({ err: error }, "what was to be done beside a commit failed");
    }
  }

  function finish(batch: OpenBatch, outcome: CommitOutcome): void {
    if (state === "stopped") return;
    if (committing[0] !== batch) return discarded(outcome);
    switch (outcome.kind) {
      case "durable": {
        committing.shift();
        durableCommitNo = batch.commitNo;
        hooks.durable(batch.batch, pace.ended(batch.batch.events.length));
        if (committing.length === 0) pace.delay(batch.asked, open.asked);
        // The next commit is under way before the answers of this one are written: the disk does not wait for them.
        const next = committing.length === 0 && !isDelayed() ? prepare() : undefined;
        if (next !== undefined && writes(next)) commit(next);
        runCallbacks(batch);
        if (next !== undefined && !writes(next)) runCallbacks(next);
        schedule();
        return;
      }
      case "full": {
        log.warn({ message: outcome.message }, "the disk is full: refusing writes, serving reads");
        state = "full";
        const refused = [...discard(), ...mailbox.takeAll()];
        // The refused are told when memory is right again: what they leave behind is judged against the file.
        try {
          rebuild();
        } finally {
          for (const work of refused) work.refuse(diskFull());
        }
        probeLater();
        return settleIdlers();
      }
      case "constraint":
        return decideAgainAlone(batch, outcome.message);
      case "fatal":
        return stopFatally(outcome.message);
    }
  }

  /** The store refuses what was discarded with the commit before it, as long as the file is what we think it is. */
  function discarded(outcome: CommitOutcome): void {
    if (outcome.kind === "durable") stopFatally("a commit behind one that failed was written");
    if (outcome.kind === "fatal") stopFatally(outcome.message);
  }

  function runCallbacks(batch: OpenBatch): void {
    for (const callback of batch.callbacks) {
      try {
        if (typeof callback === "function") callback();
        else callback.settled();
      } catch (error) {
        log.error({ err: error }, "an answer could not be given");
      }
    }
  }

  /** Everything that was decided and is not durable. */
  function discard(): Work[] {
    pace.release();
    const works = [...committing, open].flatMap((batch) => batch.works);
    committing = [];
    open = openBatch(durableCommitNo + 1, claimWrite);
    alone = 0;
    return works;
  }
  /** Nothing is under way for the file that will be in it, so it ends where the last durable commit did. */
  function rebuild(): void {
    const { commitNo } = store.readMeta();
    if (commitNo !== durableCommitNo)
      throw new Error(`the file is at commit ${commitNo}, and ${durableCommitNo} was the last that it told of`);
    hooks.rebuild();
  }
  function decideAgainAlone(batch: OpenBatch, message: string): void {
    log.error({ message, works: batch.works.length }, "a constraint of the file refused a commit");
    if (batch.works.length === 0) return stopFatally(`the server's own work broke a constraint: ${message}`);
    const stillAlone = alone;
    if (batch.alone) committing.shift();
    const works = discard();
    mailbox.putBack([...works, ...mailbox.takeAll()]);
    alone = works.length + stillAlone;
    rebuild();
    if (batch.alone) {
      for (const work of batch.works) work.refuse(refuse("INTERNAL", "a bug of ours; the server's log has it"));
    }
    schedule();
  }

  /**
   * What is under way may be in the file or not: nobody is told anything of it. What never went to the store is not,
   * and an embedding program, which may live on, must not wait for its answer for ever.
   */
  function stopFatally(message: string): void {
    if (state === "stopped") return;
    state = "stopped";
    const refused = [...open.works, ...mailbox.takeAll()];
    hooks.fatal(message);
    for (const work of refused) work.refuse(shuttingDown());
    committing = [];
    pace.release();
    settleIdlers();
  }

  function probeLater(): void {
    clock.setTimer(clock.elapsedMs() + limits.probeIntervalMs, () => {
      if (state !== "full") return;
      store.probe().then(
        (outcome) => {
          if (state !== "full") return;
          if (outcome.kind === "full") return probeLater();
          if (outcome.kind !== "durable") return stopFatally(outcome.message);
          log.info("there is room on the disk again: writing resumes");
          state = "open";
          takeTurn(hooks.reopened);
          schedule();
        },
        (error: unknown) => stopFatally(String(error)),
      );
    });
  }

  function settleIdlers(): void {
    if (idlers.length === 0 || committing.length > 0 || mailbox.length > 0 || isDelayed()) return;
    const settled = idlers;
    idlers = [];
    for (const settle of settled) settle();
  }

  return {
    submit(work) {
      if (state === "stopped") return work.refuse(shuttingDown());
      const busy = mailbox.refusalOf(work);
      if (busy !== undefined) return work.refuse(busy);
      mailbox.push(work);
      schedule();
    },
    nudge: schedule,
    get state() {
      return state;
    },
    get durableCommitNo() {
      return durableCommitNo;
    },
    idle() {
      if (committing.length === 0 && mailbox.length === 0 && !scheduled && !isDelayed()) return Promise.resolve();
      return new Promise((resolve) => idlers.push(resolve));
    },
    stop() {
      state = "stopped";
      pace.release();
    },
    get waiting() {
      return committing.reduce((sum, batch) => sum + batch.works.length, mailbox.length + open.works.length);
    },
  };
}
