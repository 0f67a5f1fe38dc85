import { inspect } from "node:util";
import { setImmediate as immediate } from "node:timers/promises";
import { EngineError } from "../../src/core/errors.ts";
import type { StartRequest } from "../../src/engine/api.ts";
import type { LeaseHandle } from "../../src/engine/frames.ts";
import type { Random } from "../../src/engine/random.ts";
import { silentLog } from "../../src/engine/telemetry.ts";
import type { CommitOutcome, Store } from "../../src/store/store.ts";
import { EngineRig, type RigWorker } from "../support/engine-rig.ts";
import { json } from "../support/given.ts";
import { TestClock } from "../support/test-clock.ts";
import type { Command, Turn } from "./command.ts";

// One engine on one store, which is told what to do and asked what it says. Two worlds that get the same turns must
// say the same, whatever lies below them: the same answers, frames, histories, in the same order.

export interface Windows {
  readonly runCacheMax?: number;
  readonly queuedEventsMin?: number;
  readonly lineWindowMax?: number;
  readonly deadlineHorizonMax?: number;
}
export const windowsOfOne: Windows = { runCacheMax: 1, lineWindowMax: 1, deadlineHorizonMax: 1, queuedEventsMin: 1 };

const workflows = ["order", "mail"];
const queues = ["default", "other"];

/** The same draws in the same order give the same ids: a lease has one name in all worlds. */
function seededRandom(): Random & { restart(): void } {
  let drawn = 0;
  return {
    hex: (bytes) => (++drawn).toString(16).padStart(bytes * 2, "0"),
    float: () => (++drawn * 0.618_034) % 1,
    restart() {
      drawn = 0;
    },
  };
}

/** In order within a kind: between lanes it depends on how the work was spread over commits. */
function framesOf(worker: RigWorker): unknown {
  return Object.groupBy(worker.frames, ({ kind }) => kind);
}

interface Played {
  readonly said: unknown;
  readonly frames: unknown;
  readonly end: unknown;
  /** What the engine complained of. */
  readonly errors: readonly string[];
}

export interface WorldOptions {
  readonly open: () => Promise<Store>;
  readonly windows: Windows;
}

export class World {
  private readonly options: WorldOptions;
  private readonly clock = new TestClock();
  private readonly random = seededRandom();
  private rig!: EngineRig;
  private committing: Promise<CommitOutcome> | undefined;
  private workers: (RigWorker | undefined)[] = [];
  private leases: LeaseHandle[] = [];
  private said: unknown[] = [];
  private namespace = "";
  /** Commits that were refused, histories that cannot be read: nothing here gives a reason for either. */
  private errors: string[] = [];
  private readonly runIds = new Set<string>();

  private constructor(options: WorldOptions) {
    this.options = options;
  }
  static async open(options: WorldOptions): Promise<World> {
    const world = new World(options);
    await world.startEngine();
    return world;
  }
  async close(): Promise<void> {
    await this.rig.engine.stop();
  }

  private async startEngine(): Promise<void> {
    const store = await this.options.open();
    const commit: Store["commit"] = (batch) => {
      this.committing = store.commit(batch);
      return this.committing;
    };
    this.rig = new EngineRig({
      store: { ...store, commit },
      clock: this.clock,
      random: this.random,
      log: { ...silentLog, error: (fields, message) => void this.errors.push(`${message}: ${inspect(fields)}`) },
      leaseTtlMs: 30_000,
      decideLimits: { deliveriesMax: 3, openSignalsMax: 3, pendingTimersMax: 2 },
      ...this.options.windows,
    });
    this.rig.settle = () => this.settle();
    await this.settle();
  }

  /**
   * Until nothing is decided, written or told any more, however long the disk takes. Streams are read only when all
   * else is quiet: when an assignment is handed over, and when its time to be accepted begins, must not depend on it.
   */
  private async settle(): Promise<void> {
    do await this.settleEngine();
    while (this.workers.filter((worker) => worker?.takeWaiting()).length > 0);
  }

  private async settleEngine(): Promise<void> {
    for (let quiet = 0; quiet < 5; quiet++) {
      await immediate();
      const { committing } = this;
      if (committing !== undefined) {
        quiet = 0;
        await committing;
        if (this.committing === committing) this.committing = undefined;
      }
      if (this.rig.engine.status().mailbox > 0) quiet = 0;
    }
  }

  /** Plays the turns in a namespace of their own and tells everything that was said and is to be seen. */
  async play(namespace: string, turns: readonly Turn[]): Promise<Played> {
    this.namespace = namespace;
    // A history says the same wherever it is played: also alone, with the seed of a failure.
    this.random.restart();
    this.said = [];
    this.leases = [];
    this.runIds.clear();
    const frames: unknown[] = [];
    const hangUp = () => {
      for (const worker of this.workers) {
        if (worker === undefined) continue;
        frames.push(framesOf(worker));
        worker.handle.closed();
      }
      this.workers = [];
    };
    for (const [no, { commands, afterMs, restart }] of turns.entries()) {
      for (const [place, command] of commands.entries()) this.tell(`${no}.${place}`, command, frames);
      await this.settle();
      this.learnLeases();
      if (afterMs > 0) await this.rig.advanceMs(afterMs);
      if (restart) {
        hangUp();
        await this.settle();
        await this.rig.engine.stop();
        await this.startEngine();
      }
      this.said.push(await this.summary());
    }
    hangUp();
    await this.settle();
    const end = await this.everything();
    // Nothing of this sequence is left to happen in the next one.
    for (const runId of this.runIds) {
      await this.rig.engine.terminateRun({ namespace, runId }, { reason: "over" }).catch(() => {});
    }
    await this.rig.advanceMs(120_000);
    const { errors } = this;
    this.errors = [];
    return { said: this.said, frames, end, errors };
  }

  private tell(name: string, command: Command, frames: unknown[]): void {
    const place = this.said.push({ name, command: command.type, outcome: "none yet" }) - 1;
    const answer = (outcome: unknown) => {
      this.said[place] = { name, command: command.type, outcome };
    };
    this.run(command, frames).then(answer, (error: unknown) => {
      if (!(error instanceof EngineError)) throw error;
      answer(error.refusal);
    });
  }

  private async run(command: Command, frames: unknown[]): Promise<unknown> {
    const { engine } = this.rig;
    const { namespace } = this;
    const ref = { namespace, runId: "run" in command ? `r${command.run}` : "" };
    switch (command.type) {
      case "start":
        this.runIds.add(ref.runId);
        return engine.startRuns([
          {
            ...this.request(ref.runId, command),
            workflow: workflows[command.workflow] as string,
            queue: queues[command.queue] as string,
            priority: command.priority,
            startDelayMs: command.startDelayMs,
            runTimeoutMs: command.runTimeoutMs,
          },
        ]);
      case "signalWithStart": {
        this.runIds.add(ref.runId);
        const signal = { name: command.name, payload: json("s"), requestId: command.requestId };
        const { run, ...told } = await engine.signalWithStartRun(this.request(ref.runId, command), signal);
        return { ...told, runId: run.runId };
      }
      case "takeSignal":
        return engine.takeSignal(ref);
      case "addTimer":
        return engine.addTimer(ref, engine.nowMs() + command.delayMs);
      case "signal":
        return engine.signalRun(ref, { name: command.name, payload: json("s"), requestId: command.requestId });
      case "cancel":
        return engine.cancelRun(ref, { reason: "c", graceMs: command.graceMs });
      case "pause":
        return engine.pauseRun(ref, { reason: "p", graceMs: command.graceMs });
      case "terminate":
        return engine.terminateRun(ref, { reason: "t" });
      case "resume":
        switch (command.resolution) {
          case "none":
            return engine.resumeRun(ref, undefined);
          case "repeat":
            return engine.resumeRun(ref, { kind: "repeat" });
          case "complete":
            return engine.resumeRun(ref, { kind: "complete", output: json("by hand") });
          case "fail":
            return engine.resumeRun(ref, { kind: "fail", failure: { type: "ByHand", message: "" } });
        }
        break;
      case "retry":
        return engine.retryRun(ref, { reason: "r", requestId: command.requestId });
      case "acquire": {
        const got = await engine.acquireLease(
          {
            namespace,
            queues,
            workflows: [],
            workerId: `unary${command.worker}`,
            requestId: command.requestId,
            waitMs: command.waitMs,
            leaseTtlMs: 0,
          },
          new AbortController().signal,
        );
        if (got !== undefined) this.learn(got.lease);
        return got;
      }
      case "unary":
        return engine.applyUnary({
          namespace,
          lease: this.lease(command.lease),
          opId: command.opId,
          change: command.change,
        });
      case "release":
        return engine.releaseLease({
          namespace,
          lease: this.lease(command.lease),
          retryAfterMs: command.retryAfterMs,
        });
      case "renew":
        return engine.renewLease({ namespace, lease: this.lease(command.lease), leaseTtlMs: command.leaseTtlMs });
      case "hello": {
        const earlier = this.workers[command.worker];
        const worker = this.rig.worker({
          namespace,
          queues,
          workflows,
          instanceId: `instance-${command.worker}`,
          capacity: command.capacity,
          held: command.holds
            ? (earlier?.assignments ?? []).map(({ lease }) => ({ lease, noticesSeen: 0, lastRefusedOpId: 0 }))
            : [],
        });
        if (earlier !== undefined) frames.push(framesOf(earlier));
        worker.reading = false;
        this.workers[command.worker] = worker;
        worker.handle.hello(worker.hello);
        return;
      }
      case "op": {
        const { opId, afterRefused, changes } = command;
        this.workers[command.worker]?.handle.op({ opId, afterRefused, changes, lease: this.lease(command.lease) });
        return;
      }
      case "accept":
      case "beat": {
        const worker = this.workers[command.worker];
        const leases = worker?.assignments.map(({ lease }) => lease) ?? [];
        if (command.type === "accept") worker?.accept(...leases);
        else worker?.beat(...leases);
        return;
      }
      case "cut":
        this.workers[command.worker]?.handle.closed();
        return;
      case "drain":
        this.workers[command.worker]?.handle.drain();
        return;
      case "goodbye":
        this.workers[command.worker]?.handle.goodbye();
    }
  }

  private request(
    runId: string,
    { run, key, requestId }: { run: number; key: number; requestId: string },
  ): StartRequest {
    return {
      namespace: this.namespace,
      runId,
      workflow: "order",
      queue: "default",
      runKey: key === 0 ? "" : `k${key}`,
      priority: 5,
      input: json(run),
      startDelayMs: 0,
      runTimeoutMs: 0,
      requestId,
    };
  }

  /** The newest leases come first; the number reaches back to those that are over. */
  private lease(number: number): LeaseHandle {
    return this.leases.at(-1 - number) ?? { runId: "r0", leaseId: "f".repeat(32), epoch: 1 };
  }
  private learn(lease: LeaseHandle): void {
    if (!this.leases.some(({ leaseId }) => leaseId === lease.leaseId)) this.leases.push(lease);
  }
  private learnLeases(): void {
    for (const worker of this.workers) for (const { lease } of worker?.assignments ?? []) this.learn(lease);
  }

  private async summary(): Promise<unknown> {
    const page = await this.rig.engine.listRuns(this.filter, { beforeRunNo: Number.MAX_SAFE_INTEGER, limit: 100 });
    const { leases, sessions, writer } = this.rig.engine.status();
    return {
      runs: page.items.map((run) => [run.runId, run.status, run.version, run.lastSeq, run.stepsCompleted, run.epoch]),
      leases,
      sessions,
      writer,
    };
  }

  private get filter() {
    return { namespace: this.namespace, workflow: "", queue: "", statuses: [], runKey: "" };
  }

  private async everything(): Promise<unknown> {
    const { engine } = this.rig;
    const runs: unknown[] = [];
    for (const runId of this.runIds) {
      const ref = { namespace: this.namespace, runId };
      const run = await engine.getRun(ref).catch(() => undefined);
      if (run === undefined) continue;
      const { items: history } = await engine.history(ref, { afterSeq: 0, limit: 1_000 });
      runs.push({
        run,
        history,
        steps: await engine.listSteps(ref, { offset: 0, limit: 100 }),
        signals: await engine.listSignals(ref, { onlyOpen: false, afterSeq: 0, limit: 100 }),
        timers: await engine.listTimers(ref),
        explained: await engine.explainRun(ref),
      });
    }
    const changed = await this.rig.store.listChangedRuns(this.filter, {
      afterCommitNo: 0,
      afterRunNo: 0,
      limit: 1_000,
    });
    return {
      runs,
      counts: await engine.countRuns(this.filter),
      steps: await engine.stepStats({ namespace: this.namespace, workflow: "" }),
      changed,
    };
  }
}
