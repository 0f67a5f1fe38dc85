import type { RunEvent } from "../../src/core/event.ts";
import { resultTypes } from "../../src/core/event.ts";
import type { Batch, Store } from "../../src/store/store.ts";
import { createRunCheck } from "../../src/store/sqlite/verify-run.ts";
import { EndRules } from "./end-rules.ts";
import type { Fired } from "./fired.ts";
import { type KnownRun, newRun } from "./known-run.ts";
import { LeaseRules } from "./lease-rules.ts";
import { OnceRules } from "./once-rules.ts";
import { Requests } from "./requests.ts";
import { TimeRules } from "./time-rules.ts";
import { WakeRules } from "./wake-rules.ts";

// The invariants, judged from outside: from the batches that became durable, from what step functions did and from
// what was told to workers and clients. Nothing here asks the engine what it thinks; only that rows are a fold of the
// events (I6) is asked of the fold that `everstep verify` uses.

const ends: ReadonlySet<string> = new Set(["RunCompleted", "RunFailed", "RunCancelled", "RunTerminated"]);

export class Checker {
  readonly runs = new Map<number, KnownRun>();
  readonly byId = new Map<string, KnownRun>();
  /** What step functions returned, as JSON: "run id, step key" to outputs. */
  readonly effects = new Map<string, Set<string>>();
  /** When a beat that kept a lease was received. */
  readonly #renewedAtMs = new Map<string, number>();
  readonly #entered = new Set<string>();
  #commitNo = 0;
  readonly #nowMs: () => number;
  readonly leases: LeaseRules;
  readonly wakes: WakeRules;
  readonly requests = new Requests();
  readonly ends: EndRules;
  readonly times: TimeRules;
  readonly once = new OnceRules();
  /** A fault of the plan has made a commit fail as only a bug of the server could. */
  constraintBroken = false;
  /** Everything that was due or came from outside lies before this instant: what is left must end soon. */
  dueMs = 0;

  /** The first invariant that was broken. */
  failure: string | undefined;

  constructor(nowMs: () => number, fired: Fired) {
    this.#nowMs = nowMs;
    this.wakes = new WakeRules(fired);
    this.leases = new LeaseRules(nowMs);
    this.ends = new EndRules(this.requests, this.leases);
    this.times = new TimeRules(this.requests, this.leases, nowMs);
  }

  /**
   * A beat named this lease, and its answer did not call it lost. One that comes behind the lease's time promises
   * nothing: the end may be decided by then and not yet be durable, which is why the answer cannot tell of it.
   */
  renewed(leaseId: string, atMs: number): void {
    for (const run of this.runs.values()) {
      if (run.leaseId !== leaseId || !run.leased) continue;
      const keptMs = Math.max(this.#renewedAtMs.get(leaseId) ?? 0, run.grantedAtMs) + run.ttlMs;
      if (atMs < keptMs) this.#renewedAtMs.set(leaseId, atMs);
    }
  }

  /** Kept, because code under test may catch what is thrown in its callbacks. */
  violation(message: string): Error {
    this.failure ??= message;
    return new Error(message);
  }

  /** A refusal that only a bug of the server explains, or a fault that no world has. */
  bug(what: string, { reason, message }: { readonly reason: string; readonly message: string }): void {
    if ((reason === "INTERNAL" && !this.constraintBroken) || reason === "CORRUPT_HISTORY")
      this.violation(`${what} is answered ${reason}: ${message}`);
  }

  effect(runId: string, stepKey: string, output: string): void {
    const key = `${runId} ${stepKey}`;
    const outputs = this.effects.get(key);
    if (outputs === undefined) this.effects.set(key, new Set([output]));
    else outputs.add(output);
  }

  /** An at-most-once step is entered: never again until the history says that its effect is given up. */
  entered(runId: string, stepKey: string): void {
    const key = `${runId} ${stepKey}`;
    if (this.#entered.has(key)) throw this.violation(`I4 ${key} is at most once, and entered twice`);
    this.#entered.add(key);
  }

  durable(batch: Batch): void {
    if (batch.commitNo !== this.#commitNo + 1)
      throw this.violation(`I3 commit ${batch.commitNo} follows ${this.#commitNo}`);
    this.#commitNo = batch.commitNo;
    for (const row of batch.runs) {
      if (this.runs.has(row.runNo)) continue;
      if (this.byId.has(row.runId)) throw this.violation(`I11 two runs have the id ${row.runId}`);
      const run = newRun(row);
      this.runs.set(row.runNo, run);
      this.byId.set(row.runId, run);
    }
    for (const { runNo, event } of batch.events) {
      const run = this.runs.get(runNo);
      if (run === undefined) throw this.violation(`I6 an event of run number ${runNo}, which has no row`);
      this.#event(run, event);
    }
    for (const row of batch.runs) {
      this.wakes.row(row);
      const broken = this.ends.row(row.runId, row);
      if (broken !== undefined) throw this.violation(`${broken}: ${row.runId}`);
    }
    for (const runNo of new Set([...batch.events.map((added) => added.runNo), ...batch.runs.map((row) => row.runNo)])) {
      const missed = this.wakes.missed(runNo);
      if (missed !== undefined)
        throw this.violation(`I9 ${this.runs.get(runNo)?.runId} waits for ${missed}, which is there`);
    }
  }

  #event(run: KnownRun, event: RunEvent): void {
    const bad = (rule: string): never => {
      throw this.violation(`${rule}: ${run.runId} seq ${event.seq} ${event.type} ${event.stepKey}`);
    };
    if (event.seq !== run.lastSeq + 1) bad(`I3 follows seq ${run.lastSeq}`);
    run.lastSeq = event.seq;
    if (event.atMs < run.lastAtMs) bad(`I8 server time goes back from ${run.lastAtMs} to ${event.atMs}`);
    run.lastAtMs = event.atMs;
    if (run.ended !== undefined && !(event.type === "RunReopened" && run.ended === "RunFailed")) {
      if (event.type !== "LeaseEnded") bad(`I7 behind ${run.ended}`);
    }
    if (event.epoch !== 0 && event.type !== "LeaseGranted" && event.epoch !== run.epoch) bad(`I5 epoch ${run.epoch}`);
    if (resultTypes.has(event.type)) {
      if (run.results.has(event.stepKey)) bad("I4 a second result");
      if (run.failed.has(event.stepKey)) bad("I4 a result behind a failure");
      run.results.set(event.stepKey, event.type === "StepCompleted" ? String(event.payload?.data) : undefined);
    }
    if (event.stepKey !== "") run.facts.add(`${event.type} ${event.stepKey}`);
    const rule = (broken: string | undefined): void => {
      if (broken !== undefined) bad(broken);
    };
    rule(this.once.event(run.runId, event, this.#commitNo));
    rule(this.requests.unasked(run.leaseId, event));
    switch (event.type) {
      case "LeaseGranted":
        rule(this.leases.granted(run.runId, event.detail));
        if (run.leased) bad("I5 a grant while the run is leased");
        if (event.epoch !== run.epoch + 1) bad(`I5 epoch ${event.epoch} follows ${run.epoch}`);
        run.epoch = event.epoch;
        run.leaseId = event.detail.leaseId;
        run.leased = true;
        run.grantedAtMs = this.#nowMs();
        run.ttlMs = event.detail.ttlMs;
        break;
      case "LeaseEnded": {
        if (!run.leased) bad("I5 no lease to end");
        run.leased = false;
        rule(this.leases.ended(run.leaseId, event.detail));
        this.#due(event, event.detail.availableAtMs);
        // Two commits may lie between the decision and its durability.
        const keptMs = Math.max(this.#renewedAtMs.get(run.leaseId) ?? 0, run.grantedAtMs - 2_000) + run.ttlMs;
        if (event.detail.reason === "EXPIRED" && this.#nowMs() < keptMs) bad("I5 expired before its time");
        break;
      }
      case "StepCompleted": {
        run.stepsCompleted += 1;
        const output = event.payload?.data;
        if (!this.effects.get(`${run.runId} ${event.stepKey}`)?.has(String(output)))
          bad(`I4 no step returned ${output}`);
        this.#progress(run);
        break;
      }
      case "StepAttemptFailed":
        this.#entered.delete(`${run.runId} ${event.stepKey}`);
        this.#due(event, event.detail.retryAtMs);
        break;
      case "StepFailed":
        this.#progress(run);
        if (run.results.has(event.stepKey)) bad("I4 a failure behind a result");
        run.failed.add(event.stepKey);
        break;
      case "TimerSet":
        this.#due(event, event.detail.firesAtMs);
        break;
      case "SignalReceived": {
        const requestId = event.detail.requestId ?? "";
        if (requestId !== "" && run.requests.has(requestId)) bad("I10 the same signal again");
        run.requests.add(requestId);
        // One more of a name that is there already brings nothing new: it must not put off the day by which all has ended.
        if (!this.wakes.isOpen(run.runNo, event.detail.name)) this.stirred();
        run.signals.set(event.seq, { requestId, consumed: false });
        break;
      }
      case "SignalConsumed": {
        const signal = run.signals.get(event.detail.signalSeq);
        if (signal === undefined || signal.consumed) bad("I10 consumes no open signal");
        else signal.consumed = true;
        this.#progress(run);
        break;
      }
      case "CancelRequested":
        run.cancelled = true;
        this.#due(event, event.detail.deadlineAtMs);
        break;
      case "CancelDelivered":
      case "PauseRequested":
        run.pauses += event.type === "PauseRequested" ? 1 : 0;
        this.#due(event, event.detail.deadlineAtMs);
        break;
      case "RunPaused":
        run.pauses += 1;
        run.pausedBy = event.detail.reason;
        break;
      case "RunResumed":
        if (run.pausedBy === "DELIVERY_BUDGET") this.leases.progress(run.runId);
        this.stirred();
        break;
      case "RunSuspended":
        // One that has what it awaits goes back into its line, and has not got on.
        if (event.detail.cancelUnseen !== true && !this.wakes.isThere(run.runNo, event.detail.awaits, event.atMs))
          this.#progress(run);
        break;
      case "RunCreated":
        this.#due(event, event.detail.availableAtMs);
        break;
      case "RunReopened":
        run.ended = undefined;
        this.#progress(run);
        this.stirred();
        for (const key of event.detail.voidedSteps) run.failed.delete(key);
        break;
      case "RunCompleted":
        this.#output(run, event);
        break;
      default:
        break;
    }
    rule(this.ends.event(run.runId, event, run.facts));
    rule(this.times.event(run.runId, event));
    rule(this.wakes.event(run.runNo, event));
    if (ends.has(event.type)) {
      run.ended = event.type;
      run.everEnded = true;
    }
  }

  #progress(run: KnownRun): void {
    this.leases.progress(run.runId);
    this.times.progress(run.runId);
  }

  /** The output of the program is the list of its results: what replays saw is what is recorded. */
  #output(run: KnownRun, event: RunEvent): void {
    const results = JSON.parse(String(event.payload?.data)) as string[];
    for (const result of results) {
      const stepKey = result.split(" ")[0] as string;
      if (run.results.get(stepKey) !== JSON.stringify(result))
        throw this.violation(`I4 ${run.runId} used ${result}, recorded is ${run.results.get(stepKey)}`);
    }
  }

  /** Something came from outside, or was done by a step: what follows from it begins now. */
  stirred(): void {
    this.dueMs = Math.max(this.dueMs, this.#nowMs());
  }
  /** An instant of server time, as far behind now as it lies behind its event. */
  #due(event: RunEvent, atMs: number | undefined): void {
    if (atMs !== undefined) this.dueMs = Math.max(this.dueMs, this.#nowMs() + atMs - event.atMs);
  }

  /** I6: rows and deadlines are what a fold of the events says. */
  fold(store: Store): void {
    for (const [runNo, known] of this.runs) {
      const row = store.getRun(runNo);
      if (row === undefined) throw this.violation(`I1 ${known.runId} is gone`);
      const check = createRunCheck(row, (seq, message) => {
        throw this.violation(`I6 ${known.runId} seq ${seq}: ${message}`);
      });
      const events = store.readEvents(runNo, { afterSeq: 0, limit: 100_000, bytesMax: 1e9, throughSeq: 0 });
      if (events.at(-1)?.seq !== known.lastSeq) throw this.violation(`I1 ${known.runId} lost events`);
      for (const event of events) check.event(event);
      check.end(store.readDeadlines(runNo));
    }
  }

  /** A client or worker is told something about a run: it must be in the file. */
  known(runId: string, why: string): KnownRun {
    const run = this.byId.get(runId);
    if (run === undefined) throw this.violation(`I1 ${why} of ${runId}, which is not in the file`);
    return run;
  }
}
