import { Calls } from "./calls.ts";
import { Chance } from "./chance.ts";
import { Checker } from "./checker.ts";
import { Clients } from "./clients.ts";
import { Disk } from "./disk.ts";
import { type Counts, Fired } from "./fired.ts";
import { Fleet } from "./fleet.ts";
import type { ImageKind } from "./images.ts";
import { Operator } from "./operator.ts";
import type { Choice, Plan } from "./plan.ts";
import { graceMs, worstMs } from "./programs.ts";
import { Readers } from "./readers.ts";
import { Server } from "./server.ts";
import { Process, Timeline } from "./timeline.ts";

// The world of one plan: a server that dies and comes back on the same disk, workers, clients, and what breaks.
// First all faults, then none: what was started must come to its end.

export interface Outcome {
  readonly failure: string | undefined;
  readonly digest: string;
  readonly steps: number;
  readonly virtualMs: number;
  readonly lines: readonly string[];
  /** How often what was asked and what broke took hold. */
  readonly fired: Counts;
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
  return { failure, digest: timeline.digest(), steps, virtualMs, lines, fired: fired.counts };
}

class World {
  readonly timeline: Timeline;
  readonly checker: Checker;
  readonly fired = new Fired();
  readonly #plan: Plan;
  readonly disk: Disk;
  readonly #clients: Clients;
  readonly #readers: Readers;
  readonly #operator: Operator;
  readonly #fleet: Fleet;
  #server: Server | undefined;
  #wallAheadMs = 0;
  /** How far it was ahead when a server last looked. */
  #seenAheadMs = 0;
  #faultsOver = false;
  #commitMs = 0;

  constructor(plan: Plan, keepLines: boolean, image: ImageKind) {
    this.#plan = plan;
    this.timeline = new Timeline(keepLines);
    const { timeline, fired } = this;
    this.checker = new Checker(() => timeline.nowMs, fired);
    const { checker } = this;
    const server = (): Server | undefined => this.#server;
    const net = new Chance(plan.seed, "net");
    const calls = new Calls({
      checker,
      net,
      fired,
      latencyMs: plan.latencyMs,
      lossShare: () => (this.#faultsOver ? 0 : plan.lossShare),
      repeatShare: () => (this.#faultsOver ? 0 : plan.repeatShare),
      server,
    });
    const process = new Process(timeline, "clients");
    this.#clients = new Clients(process, calls, checker, net, fired);
    this.#readers = new Readers(checker, new Chance(plan.seed, "readers"), fired, process, server);
    this.#operator = new Operator(plan, checker, process, server);
    this.#fleet = new Fleet({ plan, timeline, checker, net, calls, fired, server });
    this.disk = new Disk(image, timeline, new Chance(plan.seed, "disk"), fired, {
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
    for (let index = 0; index < workers + unaryWorkers; index++) this.#fleet.start(index);
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
      wallAheadMs: () => {
        if (this.#seenAheadMs !== this.#wallAheadMs) this.fired.hit("jumpOverRestart");
        return (this.#seenAheadMs = this.#wallAheadMs);
      },
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
    this.#fleet.cutAll();
    this.timeline.at(this.timeline.nowMs + downMs, () => this.#startServer());
  }

  /** SIGTERM: no new work, what is being committed is finished, then a new life. */
  #drainServer(downMs: number): void {
    const server = this.#server;
    if (server === undefined) return;
    this.#disturbed(10_000);
    server.engine.drain();
    const stopped = (): void => {
      if (this.#server !== server) return;
      this.fired.hit("drainServer");
      this.#crashServer(downMs);
    };
    server.process.in(200, () => void server.engine.stop().then(stopped));
    // A disk that is full or slow, or a process that stands still, does not hold up the end for ever.
    this.timeline.at(this.timeline.nowMs + 10_000, stopped);
  }

  #heal(): void {
    this.timeline.trace("faults end");
    this.#faultsOver = true;
    this.checker.stirred();
    this.disk.full = false;
    this.disk.failing = undefined;
    this.disk.slowMs = 0;
    this.#startServer();
    this.#operator.operate();
  }

  #apply(choice: Choice): void {
    const { timeline, checker } = this;
    timeline.trace(`choice ${JSON.stringify(choice)}`);
    const server = this.#server;
    switch (choice.kind) {
      case "start":
        return void this.#clients.start(choice);
      case "signal": {
        const { run, name, atMs } = choice;
        return void this.#clients.signal(`run-${run}`, name, `signal-${run}-${name}-${atMs}`);
      }
      case "watch":
        return this.#readers.watch(`run-${choice.run}`, () => this.#faultsOver && this.#clients.open === 0);
      case "volley":
        return this.#clients.volley(`run-${choice.run}`, choice.atMs);
      case "cancel":
      case "terminate":
      case "pause":
      case "resume":
      case "retry":
      case "get": {
        const { kind, run, atMs, firstAtMs = atMs } = choice;
        return void this.#clients.steer(kind, `run-${run}`, `retry-${run}-${firstAtMs}`);
      }
      case "cut":
        return this.#fleet.cut(choice);
      case "stall":
        if (choice.from === 1) this.#disturbed(choice.ms);
        return this.#fleet.stall(choice);
      case "crashWorker":
        if (this.#fleet.crash(choice.worker, choice.ms)) this.fired.hit("crashWorker");
        return;
      case "drainWorker":
        return this.#fleet.drain(choice.worker, choice.ms);
      case "stopWorker":
        return this.#fleet.stop(choice.worker, choice.ms);
      case "crashServer":
        if (server !== undefined) this.fired.hit("crashServer");
        return this.#crashServer(choice.ms);
      case "drainServer":
        return this.#drainServer(choice.ms);
      case "stopServer":
        this.#disturbed(choice.ms);
        return server?.process.stopFor(choice.ms, () => this.fired.hit("stopServer"));
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
        if (server !== undefined) this.fired.hit("jump");
        this.#wallAheadMs += choice.ms;
        return checker.stirred();
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
