import type { Change } from "../../src/core/command.ts";
import type { RetryPolicy } from "../../src/core/event.ts";
import type { Refusal } from "../../src/core/errors.ts";
import type { Engine } from "../../src/engine/api.ts";
import type { Assignment, LeaseHandle, OpApplied } from "../../src/engine/frames.ts";
import { judgeApplied, judgeRefused } from "./answers.ts";
import type { Answer } from "./calls.ts";
import { type Op, retryPolicyOf, signalsOf } from "./programs.ts";
import type { Process } from "./timeline.ts";
import type { UnaryWorld } from "./unary-worker.ts";

// One run under one lease, carried on with single calls.

const namespace = "default";

/** Why a run is not gone on with under this lease. */
class Stop extends Error {}

export class UnaryRun {
  readonly #world: UnaryWorld;
  readonly #process: Process;
  readonly #lease: LeaseHandle;
  readonly #runId: string;
  readonly #journal = new Map<string, Assignment["journal"][number]>();
  readonly #ops: readonly Op[];
  readonly #careless: boolean;
  readonly #numbered: boolean;
  #cancelled: boolean;
  #over = false;
  #opId = 0;

  constructor(world: UnaryWorld, process: Process, assignment: Assignment) {
    this.#world = world;
    this.#process = process;
    this.#lease = assignment.lease;
    this.#runId = assignment.lease.runId;
    this.#cancelled = assignment.cancelRequested;
    this.#ops = JSON.parse(String(assignment.input?.data)) as Op[];
    for (const entry of assignment.journal) this.#journal.set(entry.stepKey, entry);
    this.#careless = world.chance.maybe(0.5);
    // Single calls cannot say that they have seen a refusal, so only programs that are never refused are numbered.
    this.#numbered = signalsOf(this.#ops).length === 0 && world.chance.maybe(0.5);
  }

  async work(): Promise<void> {
    void this.#renew();
    try {
      const results = await this.#interpret(this.#ops);
      await this.#say({ type: "CompleteRun", output: { data: JSON.stringify(results), encoding: "" } });
    } catch (error) {
      if (error instanceof StepFailed) await this.#fail(error.message);
      else if (!(error instanceof Stop)) this.#world.checker.violation(`a unary worker: ${(error as Error).stack}`);
    }
    this.#over = true;
  }

  async #fail(stepKey: string): Promise<void> {
    try {
      await this.#say({ type: "FailRun", failure: { type: "Error", message: stepKey }, failedSteps: [stepKey] });
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
    }
  }

  async #renew(): Promise<void> {
    const { calls, leaseTtlMs, checker } = this.#world;
    for (;;) {
      await this.#process.wait(leaseTtlMs / 3);
      if (this.#over) return;
      const renewed = await calls.call(
        this.#process,
        `renewal of ${this.#runId}`,
        (engine) => engine.renewLease({ namespace, lease: this.#lease, leaseTtlMs: 0 }),
        (answer) => {
          if ("refusal" in answer) return this.#judge([], answer.refusal);
          checker.renewed(this.#lease.leaseId, this.#world.timeline.nowMs);
        },
      );
      if ("refusal" in renewed) return;
      if (renewed.answer.notices.some(({ what }) => what.kind === "cancel")) this.#cancelled = true;
    }
  }

  /** One change, until it is answered. Throws Stop when the run is not this worker's any more. */
  async #say(change: Change): Promise<OpApplied | Refusal> {
    const { calls, checker, chance, fired } = this.#world;
    const { leases } = checker;
    checker.requests.change(this.#lease.leaseId, change.type, "stepKey" in change ? change.stepKey : "");
    if (change.type === "SuspendRun") leases.askedToEnd(this.#lease.leaseId, "SUSPENDED");
    if (change.type === "CompleteRun" || change.type === "FailRun" || change.type === "CancelledRun")
      leases.askedToEnd(this.#lease.leaseId, "DONE");
    if (this.#numbered) this.#opId += 1;
    const op = { namespace, lease: this.#lease, opId: this.#opId, change };
    const said = await calls.call(
      this.#process,
      `${change.type} of ${this.#runId}`,
      async (engine) => engine.applyUnary(op),
      (answer) =>
        "refusal" in answer ? this.#judge([change], answer.refusal) : judgeApplied(checker, this.#asked([change])),
    );
    if (change.type === "CompleteStep" && "answer" in said && chance.maybe(0.3)) this.#contradict(change);
    if ("refusal" in said) {
      if (said.refusal.reason === "LEASE_LOST") {
        if (!this.#careless) throw new Stop();
        fired.hit("lostLease");
      }
      return said.refusal;
    }
    if (said.answer.notices.some(({ what }) => what.kind === "cancel")) this.#cancelled = true;
    return said.answer.applied;
  }

  /** Another result for a step that has one. */
  #contradict(change: Extract<Change, { type: "CompleteStep" }>): void {
    const other: Change = { ...change, output: { data: '"another result"', encoding: "" } };
    void this.#world.calls.call(
      this.#process,
      `contradiction of ${this.#runId}`,
      (engine: Engine) => engine.applyUnary({ namespace, lease: this.#lease, opId: 0, change: other }),
      (answer: Answer<unknown>) => {
        this.#world.fired.hit("otherResult");
        if ("refusal" in answer) return this.#judge([other], answer.refusal);
        throw this.#world.checker.violation(`I4 ${this.#runId}: another result of ${change.stepKey} is accepted`);
      },
    );
  }

  #asked(changes: readonly Change[]) {
    return {
      runId: this.#runId,
      leaseId: this.#lease.leaseId,
      changes: changes.map((change) => ({
        type: change.type,
        stepKey: "stepKey" in change ? change.stepKey : "",
        output: change.type === "CompleteStep" ? String(change.output?.data) : undefined,
      })),
    };
  }
  #judge(changes: readonly Change[], { reason, message }: Refusal): void {
    judgeRefused(this.#world.checker, this.#asked(changes), reason, message);
  }

  async #interpret(ops: readonly Op[]): Promise<string[]> {
    const results: string[] = [];
    for (const op of ops) {
      if (this.#cancelled) {
        await this.#say({ type: "CancelledRun" });
        throw new Stop();
      }
      results.push(...(await this.#one(op)));
    }
    return results;
  }

  async #one(op: Op): Promise<string[]> {
    switch (op.do) {
      case "step":
        return this.#step(op.key, op.ms, op.fails, retryPolicyOf(op));
      case "once":
        return this.#step(op.key, op.ms, 0, undefined, true);
      case "poison":
        return this.#step(op.key, 0, 0, undefined, false, op.deaths);
      case "sleep":
        await this.#wait(op.key, "", op.ms);
        return [];
      case "signal":
        await this.#wait(op.name, op.name, op.timeoutMs);
        return [];
      case "parallel":
        return this.#interpret(op.ops);
      case "caught":
        try {
          await this.#step(op.key, 0, 99, retryPolicyOf(op));
        } catch (error) {
          if (!(error instanceof StepFailed)) throw error;
        }
        return [];
    }
  }

  async #step(
    key: string,
    ms: number,
    fails: number,
    retryPolicy: RetryPolicy | undefined,
    once = false,
    deaths = 0,
  ): Promise<string[]> {
    const { chance, checker } = this.#world;
    const recorded = this.#journal.get(key);
    if (recorded?.kind === "completed") return [JSON.parse(String(recorded.output?.data)) as string];
    let attempt = recorded?.kind === "retrying" ? recorded.attempt + 1 : 1;
    if (recorded?.kind === "failed") throw new StepFailed(key);
    if (recorded?.kind === "retrying") await this.#process.wait(recorded.delayMs);
    for (; ; attempt++) {
      if (once || chance.maybe(0.5)) {
        const started = await this.#say({
          type: "StartStep",
          stepKey: key,
          attempt,
          atMostOnce: once,
          timeoutMs: 0,
          input: undefined,
          retryPolicy,
        });
        if (started.kind === "refused") await this.#giveBack();
        else if (once) checker.entered(this.#runId, key);
      }
      if (ms > 0) await this.#process.wait(ms);
      checker.stirred();
      if (deaths > 0 && this.#world.dies(this.#runId, key, deaths)) throw new Stop();
      if (attempt > fails) break;
      const failed = await this.#say({
        type: "FailStep",
        stepKey: key,
        attempt,
        failure: { type: "Error", message: "simulated" },
        retryPolicy,
        elapsedMs: ms,
      });
      if (failed.kind === "refused") await this.#giveBack();
      else {
        const [note] = failed.notes;
        if (note?.kind === "exhausted") throw new StepFailed(key);
        if (note?.kind === "retry") await this.#process.wait(Math.max(0, note.retryAtMs - failed.nowMs));
      }
    }
    const output = `${key} ${chance.hex(6)}`;
    checker.effect(this.#runId, key, JSON.stringify(output));
    const done = await this.#say({
      type: "CompleteStep",
      stepKey: key,
      attempt,
      output: { data: JSON.stringify(output), encoding: "" },
      elapsedMs: ms,
    });
    if (done.kind === "refused") await this.#giveBack();
    return [output];
  }

  /** A sleep or the wait for a signal: done, or handed over to the server. */
  async #wait(key: string, signalName: string, ms: number): Promise<void> {
    const recorded = this.#journal.get(key)?.kind;
    if (recorded === "timerFired" || recorded === "signal") return;
    if (signalName !== "") {
      const consumed = await this.#say({ type: "ConsumeSignal", stepKey: key, name: signalName });
      if (consumed.kind === "applied" || consumed.reason === "WAIT_TIMED_OUT") return;
      if (consumed.reason !== "NO_SIGNAL") await this.#giveBack();
    }
    const timed = signalName === "" || ms > 0;
    if (timed && recorded !== "timer") await this.#say({ type: "SetTimer", stepKey: key, delayMs: ms, signalName });
    const awaits = [
      ...(timed ? [{ kind: "timer", stepKey: key } as const] : []),
      ...(signalName === "" ? [] : [{ kind: "signal", name: signalName } as const]),
    ];
    await this.#say({ type: "SuspendRun", awaits, noticesSeen: 0 });
    throw new Stop();
  }

  /** Does not go on: gives the lease back. */
  async #giveBack(): Promise<never> {
    const { calls, checker } = this.#world;
    checker.leases.askedToEnd(this.#lease.leaseId, "RELEASED");
    await calls.call(
      this.#process,
      `release of ${this.#runId}`,
      async (engine) => engine.releaseLease({ namespace, lease: this.#lease, retryAfterMs: 0 }),
      (answer) => {
        if ("refusal" in answer) this.#judge([], answer.refusal);
        else if (checker.leases.isLive(this.#lease.leaseId))
          throw checker.violation(`I1 ${this.#runId}: a release is answered early`);
      },
    );
    throw new Stop();
  }
}

class StepFailed extends Error {}
