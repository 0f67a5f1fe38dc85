import { EngineError } from "../../src/core/errors.ts";
import { Calls } from "./calls.ts";
import { Chance } from "./chance.ts";
import { Checker } from "./checker.ts";
import { Clients, type Steer } from "./clients.ts";
import { Disk } from "./disk.ts";
import type { ImageKind } from "./images.ts";
import { Connection, type End } from "./network.ts";
import type { Choice, Plan } from "./plan.ts";
import { graceMs, signalsOf, worstMs } from "./programs.ts";
import { Readers } from "./readers.ts";
import { Server } from "./server.ts";
import { Process, Timeline } from "./timeline.ts";
import { UnaryWorker } from "./unary-worker.ts";
import { SimulatedWorker } from "./worker.ts";

// The world of one plan: a server that dies and comes back on the same disk, workers, clients, and what breaks.
// First all faults, then none: what was started must come to its end.

export interface Outcome {
  readonly failure: string | undefined;
  readonly digest: string;
  readonly steps: number;
  readonly virtualMs: number;
  readonly lines: readonly string[];
  readonly fired: Readonly<Record<string, number>>;
}

/** What the engine may add behind the last thing that was due: the last back-off of an expired lease, and its ways round. */
const slackMs = 65_000;
const stepsMax = 300_000;

export async function runWorld(
  plan: Plan,
  { keepLines = false, image = "memory" }: { keepLines?: boolean; image?: ImageKind } = {},
): Promise<Outcome> {
  const world = new World(plan, keepLines, image);
  // What nobody catches would end a real server or worker.
  const died = (error: unknown): void => void world.checker.violation(`a process died: ${(error as Error).stack}`);
  process.on("unhandledRejection", died);
  const failure = await world.run();
  process.off("unhandledRejection", died);
  world.disk.remove();
  const { timeline, fired } = world;
  const { steps, nowMs: virtualMs, lines = [] } = timeline;
  return { failure, digest: timeline.digest(), steps, virtualMs, lines, fired };
}

class World {
  readonly timeline: Timeline;
  readonly checker: Checker;
  readonly fired: Record<string, number> = {};
  readonly #plan: Plan;
  readonly disk: Disk;
  readonly #net: Chance;
  readonly #calls: Calls;
  readonly #clients: Clients;
  readonly #readers: Readers;
  readonly #workers: (SimulatedWorker | UnaryWorker)[] = [];
  readonly #connections = new Map<number, Connection>();
  readonly #deaths = new Map<string, number>();
  #server: Server | undefined;
  #wallAheadMs = 0;
  #faultsOver = false;
  #commitMs = 0;
  #rounds = 0;

  constructor(plan: Plan, keepLines: boolean, image: ImageKind) {
    this.#plan = plan;
    this.timeline = new Timeline(keepLines);
    const { timeline } = this;
    this.checker = new Checker(() => timeline.nowMs);
    const { checker } = this;
    const server = (): Server | undefined => this.#server;
    const net = new Chance(plan.seed, "net");
    this.#net = net;
    this.#calls = new Calls({
      checker,
      net,
      latencyMs: plan.latencyMs,
      lossShare: () => (this.#faultsOver ? 0 : plan.lossShare),
      repeatShare: () => (this.#faultsOver ? 0 : plan.repeatShare),
      server,
    });
    const process = new Process(timeline, "clients");
    this.#clients = new Clients(process, this.#calls, checker);
    this.#readers = new Readers(checker, new Chance(plan.seed, "readers"), process, server);
    this.disk = new Disk(image, timeline, new Chance(plan.seed, "disk"), {
      onBegin: (batch) => {
        if (batch.events.length > 0 && net.maybe(plan.spyShare)) this.#readers.spy(batch);
      },
      onDurable: (batch) => {
        timeline.trace(
          `durable ${batch.commitNo}: ${batch.events.map(({ runNo, event }) => `${runNo}:${event.type}@${event.atMs}`).join(" ")}`,
        );
        this.#commitMs = timeline.nowMs;
        checker.durable(batch);
      },
      onRefused: (message) => checker.violation(`the server breaks a constraint of its file: ${message}`),
    });
  }

  async run(): Promise<string | undefined> {
    const { timeline, checker } = this;
    const { choices, faultsEndMs, workers, unaryWorkers, leaseTtlMs } = this.#plan;
    this.#startServer();
    for (let index = 0; index < workers + unaryWorkers; index++) this.#startWorker(index);
    for (const choice of choices) timeline.at(choice.atMs, () => this.#apply(choice));
    const lastMs = Math.max(faultsEndMs, ...choices.map((choice) => choice.atMs + lengthOf(choice)));
    timeline.at(lastMs, () => this.#heal());
    const ownMs = choices.reduce(
      (sum, choice) => sum + (choice.kind === "start" ? choice.startDelayMs + worstMs(choice.ops, leaseTtlMs) : 0),
      0,
    );
    const endMs = lastMs + ownMs + leaseTtlMs * 1.5 + graceMs + slackMs;
    try {
      await timeline.runUntil(endMs, () => this.#over());
    } catch (error) {
      return checker.failure ?? `a process died: ${(error as Error).stack}`;
    }
    if (checker.failure !== undefined) return checker.failure;
    if (timeline.steps >= stepsMax) return `I12 no end after ${stepsMax} steps`;
    for (const run of checker.byId.values()) {
      if (run.ended !== undefined) continue;
      return `I12 ${run.runId} has not ended at ${timeline.nowMs}: ${await this.#explain(run.runId)}`;
    }
    if (this.#clients.open > 0) return `I12 ${this.#clients.open} calls were never answered`;
    if (this.#readers.open > 0) return `I12 ${this.#readers.open} watchers never saw the end of their run`;
    try {
      this.#server?.process.alive === true && checker.fold(this.#server.store);
    } catch (error) {
      return checker.failure ?? String(error);
    }
    return undefined;
  }

  #over(): boolean {
    const { checker, timeline } = this;
    if (checker.failure !== undefined || timeline.steps >= stepsMax) return true;
    if (!this.#faultsOver) return false;
    if (timeline.nowMs > checker.dueMs + this.#plan.leaseTtlMs * 1.5 + slackMs) return true;
    if (this.#clients.open > 0 || this.#readers.open > 0) return false;
    for (const run of checker.runs.values()) if (run.ended === undefined || run.leased) return false;
    return true;
  }

  async #explain(runId: string): Promise<string> {
    try {
      const explanation = await this.#server?.engine.explainRun({ namespace: "default", runId });
      return explanation === undefined ? "no server" : explanation.text;
    } catch (error) {
      return String(error);
    }
  }

  #startServer(): void {
    if (this.#server !== undefined) return;
    const { checker, timeline } = this;
    const name = `server-${++checker.leases.life}`;
    checker.times.lifeMs = timeline.nowMs;
    timeline.trace(`${name} starts`);
    // Behind a wall clock that was set back, server time goes on from the newest commit: what was due comes later.
    checker.dueMs += timeline.nowMs - this.#commitMs;
    const server = new Server({
      timeline,
      name,
      chance: new Chance(this.#plan.seed, name),
      openStore: (process) => {
        const store = this.disk.open(process);
        checker.fold(store);
        return store;
      },
      wallAheadMs: () => this.#wallAheadMs,
      leaseTtlMs: this.#plan.leaseTtlMs,
      windows: this.#plan.windows,
      checker,
      onFatal: () => {
        timeline.trace(`${name} stops fatally`);
        timeline.at(timeline.nowMs, () => this.#server === server && this.#crashServer(200));
      },
    });
    this.#server = server;
  }

  #crashServer(downMs: number): void {
    const server = this.#server;
    if (server === undefined) return;
    this.timeline.trace(`${server.process.name} dies`);
    server.process.alive = false;
    this.#server = undefined;
    this.disk.crash();
    for (const connection of this.#connections.values())
      connection.cut([this.#net.maybe(0.8) ? 1 : undefined, undefined]);
    this.timeline.at(this.timeline.nowMs + downMs, () => this.#startServer());
  }

  /** SIGTERM: no new work, what is being committed is finished, then a new life. */
  #drainServer(downMs: number): void {
    const server = this.#server;
    if (server === undefined) return;
    this.#disturbed(10_000);
    server.engine.drain();
    const stopped = (): void => {
      if (this.#server === server) this.#crashServer(downMs);
    };
    server.process.in(200, () => void server.engine.stop().then(stopped));
    // A disk that is full or slow, or a process that stands still, does not hold up the end for ever.
    this.timeline.at(this.timeline.nowMs + 10_000, stopped);
  }

  #startWorker(index: number): void {
    const name = `worker-${index}-${this.timeline.nowMs}`;
    const { timeline, checker } = this;
    const { seed, leaseTtlMs, capacity, latencyMs, staleShare } = this.#plan;
    const chance = new Chance(seed, name);
    const dies = (runId: string, key: string, deaths: number): boolean => this.#dies(index, `${runId} ${key}`, deaths);
    if (index >= this.#plan.workers) {
      const world = { timeline, chance, checker, calls: this.#calls, leaseTtlMs, dies };
      this.#workers[index] = new UnaryWorker(world, new Process(timeline, name));
      return;
    }
    const connect = (end: End): Connection | undefined => {
      const server = this.#server;
      if (server === undefined) return undefined;
      let connection: Connection;
      const other = server.accept(() => connection);
      connection = new Connection(timeline, this.#net, [end, other], latencyMs, index);
      this.#connections.set(index, connection);
      return connection;
    };
    const world = { timeline, chance, checker, leaseTtlMs, staleShare, dies, connect };
    this.#workers[index] = new SimulatedWorker(world, name, capacity);
  }

  #crashWorker(index: number, downMs: number): void {
    const worker = this.#workers[index];
    if (worker?.process.alive !== true) return;
    worker.process.alive = false;
    this.#connections.get(index)?.cut([undefined, this.#net.maybe(0.7) ? 5 : undefined]);
    this.checker.stirred();
    this.timeline.at(this.timeline.nowMs + downMs, () => this.#startWorker(index));
  }

  /** A step that kills its worker, so many times. */
  #dies(index: number, step: string, deaths: number): boolean {
    const before = this.#deaths.get(step) ?? 0;
    if (before >= deaths) return false;
    this.#deaths.set(step, before + 1);
    this.timeline.trace(`${step} kills its worker`);
    this.#crashWorker(index, 100);
    return true;
  }

  #heal(): void {
    this.timeline.trace("faults end");
    this.#faultsOver = true;
    this.checker.stirred();
    this.disk.full = false;
    this.disk.failing = undefined;
    this.disk.slowMs = 0;
    this.#startServer();
    this.#operate();
  }

  /** The operator lets go on what waits for a person. */
  #operate(): void {
    const server = this.#server;
    this.#rounds += 1;
    for (const choice of this.#plan.choices) {
      if (choice.kind !== "start" || server === undefined) continue;
      const runId = `run-${choice.run}`;
      // A start that was lost until now is waited for: its signals are sent when the run is there.
      const run = this.checker.byId.get(runId);
      if (run === undefined || run.ended !== undefined) continue;
      for (const name of signalsOf(choice.ops)) {
        // One may be taken by a call that nobody waits for any more, so another follows; never while one is there, which
        // would hide that it woke nobody.
        if (this.checker.wakes.isOpen(run.runNo, name)) continue;
        const requestId = `last-${choice.run}-${name}-${this.#rounds >> 3}`;
        server.engine
          .signalRun({ namespace: "default", runId }, { name, payload: undefined, requestId })
          .catch((error: unknown) => this.#operatorRefused(error));
      }
    }
    for (const { runId, ended } of this.checker.byId.values()) {
      if (ended !== undefined || server === undefined) continue;
      const row = server.store.findRun("default", runId);
      if (row?.status !== "PAUSED") continue;
      const resolution = row.pauseReason === "UNCERTAIN_EFFECT" ? ({ kind: "repeat" } as const) : undefined;
      this.checker.requests.wish(runId, "resume", resolution?.kind);
      server.engine
        .resumeRun({ namespace: "default", runId }, resolution)
        .catch((error: unknown) => this.#operatorRefused(error));
    }
    this.#clients.process.in(2_000, () => this.#operate());
  }

  #operatorRefused(error: unknown): void {
    if (error instanceof EngineError) this.checker.bug("the operator", error.refusal);
    else this.checker.violation(`the operator's call threw ${(error as Error).stack}`);
  }

  #apply(choice: Choice): void {
    const { timeline, checker } = this;
    this.fired[choice.kind] = (this.fired[choice.kind] ?? 0) + 1;
    timeline.trace(`choice ${JSON.stringify(choice)}`);
    const server = this.#server;
    switch (choice.kind) {
      case "start":
        return void this.#clients.start(choice);
      case "signal":
        return void this.#clients.signal(
          `run-${choice.run}`,
          choice.name,
          `signal-${choice.run}-${choice.name}-${choice.atMs}`,
        );
      case "watch":
        return this.#readers.watch(`run-${choice.run}`, () => this.#faultsOver && this.#clients.open === 0);
      case "volley":
        return this.#volley(`run-${choice.run}`, choice.atMs);
      case "cancel":
      case "terminate":
      case "pause":
      case "resume":
      case "retry":
      case "get": {
        const { kind, run, atMs, firstAtMs = atMs } = choice;
        return void this.#clients.steer(kind, `run-${run}`, `retry-${run}-${firstAtMs}`);
      }
      case "cut": {
        const toldMs = this.#net.float() * 500;
        const { deaf, worker, lateMs } = choice;
        return this.#connections
          .get(worker)
          ?.cut([deaf === "worker" ? undefined : toldMs, deaf === "server" ? undefined : toldMs + lateMs]);
      }
      case "stall":
        if (choice.from === 1) this.#disturbed(choice.ms);
        return this.#connections.get(choice.worker)?.stall(choice.from, choice.ms);
      case "crashWorker":
        return this.#crashWorker(choice.worker, choice.ms);
      case "drainWorker": {
        const worker = this.#workers[choice.worker];
        if (worker instanceof SimulatedWorker) void worker.drain(choice.ms);
        return timeline.at(timeline.nowMs + choice.ms + 100, () => {
          if (worker === this.#workers[choice.worker]) this.#crashWorker(choice.worker, 100);
        });
      }
      case "stopWorker":
        return this.#workers[choice.worker]?.process.stopFor(choice.ms);
      case "crashServer":
        return this.#crashServer(choice.ms);
      case "drainServer":
        return this.#drainServer(choice.ms);
      case "stopServer":
        this.#disturbed(choice.ms);
        return server?.process.stopFor(choice.ms);
      case "fullDisk":
        this.disk.full = true;
        this.#disturbed(choice.ms);
        return timeline.at(timeline.nowMs + choice.ms, () => void (this.disk.full = false));
      case "slowDisk":
        this.disk.slowMs = 200;
        this.#disturbed(choice.ms);
        return timeline.at(timeline.nowMs + choice.ms, () => void (this.disk.slowMs = 0));
      case "constraint":
      case "failedSync":
        if (choice.kind === "constraint") checker.constraintBroken = true;
        this.disk.failing = choice.kind === "constraint" ? "constraint" : "fatal";
        return;
      case "jump":
        this.#wallAheadMs += choice.ms;
        return checker.stirred();
    }
  }

  /** Many ask at once: what one of them does is not durable when the next one is judged. */
  #volley(runId: string, atMs: number): void {
    const kinds: readonly Steer[] = ["get", "cancel", "terminate", "resume", "retry", "pause"];
    const apart = this.#net.pick([0, 1, 5]);
    for (let shot = 0; shot < 8; shot++) {
      this.#clients.process.in(this.#net.float() * apart, () => {
        const kind = this.#net.maybe(0.3) ? undefined : this.#net.pick(kinds);
        if (kind !== undefined) return void this.#clients.steer(kind, runId, `volley-${runId}-${atMs}-${shot}`);
        if (this.#net.maybe(0.5)) return void this.#clients.wait(runId);
        void this.#clients.signal(runId, "volley", `volley-${runId}-${atMs}-${shot}`);
      });
    }
  }

  #disturbed(ms: number): void {
    const { leases } = this.checker;
    // A full disk is tried again after a second.
    leases.disturbedUntilMs = Math.max(leases.disturbedUntilMs, this.timeline.nowMs + ms + 1_500);
  }
}

function lengthOf(choice: Choice): number {
  if (choice.kind === "drainServer") return choice.ms + 10_000;
  return "ms" in choice && choice.kind !== "jump" ? choice.ms : 0;
}
