import { EngineError } from "../../src/core/errors.ts";
import type { Engine, RunView } from "../../src/engine/api.ts";
import { Chance } from "./chance.ts";
import { Checker } from "./checker.ts";
import { Conversation } from "./conversation.ts";
import { Disk } from "./disk.ts";
import { Connection, type End } from "./network.ts";
import type { Choice, Op, Plan } from "./plan.ts";
import { Server } from "./server.ts";
import { Process, Timeline } from "./timeline.ts";
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

const callRetryMs = 300;
const graceMs = 30_000;
/** What the engine may add: the last back-off of an expired lease, and its ways round. */
const slackMs = 65_000;
const stepsMax = 300_000;

export async function runWorld(plan: Plan, keepLines = false): Promise<Outcome> {
  const world = new World(plan, keepLines);
  const failure = await world.run();
  const { timeline, fired } = world;
  const { steps, nowMs: virtualMs, lines = [] } = timeline;
  return { failure, digest: timeline.digest(), steps, virtualMs, lines, fired };
}

class World {
  readonly timeline: Timeline;
  readonly checker: Checker;
  readonly fired: Record<string, number> = {};
  readonly #plan: Plan;
  readonly #disk: Disk;
  readonly #conversation: Conversation;
  readonly #net: Chance;
  readonly #clients: Process;
  readonly #workers: SimulatedWorker[] = [];
  readonly #connections = new Map<number, Connection>();
  #server: Server | undefined;
  #lives = 0;
  #calls = 0;
  #wallAheadMs = 0;
  #faultsOver = false;

  constructor(plan: Plan, keepLines: boolean) {
    this.#plan = plan;
    this.timeline = new Timeline(keepLines);
    const { timeline } = this;
    this.checker = new Checker(() => timeline.nowMs);
    this.#conversation = new Conversation(this.checker, timeline);
    this.#net = new Chance(plan.seed, "net");
    this.#clients = new Process(timeline, "clients");
    this.#disk = new Disk(timeline, new Chance(plan.seed, "disk"), (batch) => {
      timeline.trace(
        `durable ${batch.commitNo}: ${batch.events.map(({ runNo, event }) => `${runNo}:${event.type}`).join(" ")}`,
      );
      this.checker.durable(batch);
    });
  }

  async run(): Promise<string | undefined> {
    const { timeline, checker } = this;
    this.#startServer();
    for (let index = 0; index < this.#plan.workers; index++) this.#startWorker(index);
    for (const choice of this.#plan.choices) timeline.at(choice.atMs, () => this.#apply(choice));
    const lastMs = Math.max(
      this.#plan.faultsEndMs,
      ...this.#plan.choices.map((choice) => choice.atMs + lengthOf(choice)),
    );
    timeline.at(lastMs, () => this.#heal());
    const ownMs = this.#plan.choices.reduce(
      (sum, choice) => sum + (choice.kind === "start" ? worstMs(choice.ops) : 0),
      0,
    );
    const endMs = lastMs + ownMs + this.#plan.leaseTtlMs * 1.5 + graceMs + slackMs;
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
    try {
      this.#server?.process.alive === true && checker.fold(this.#server.store);
    } catch (error) {
      return checker.failure ?? String(error);
    }
    return undefined;
  }

  #over(): boolean {
    if (this.checker.failure !== undefined || this.timeline.steps >= stepsMax) return true;
    if (!this.#faultsOver || this.#calls > 0) return false;
    for (const run of this.checker.runs.values()) if (run.ended === undefined || run.leased) return false;
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
    const name = `server-${++this.#lives}`;
    this.timeline.trace(`${name} starts`);
    const server = new Server({
      timeline: this.timeline,
      name,
      chance: new Chance(this.#plan.seed, name),
      openStore: (process) => {
        const store = this.#disk.open(process);
        this.checker.fold(store);
        return store;
      },
      wallAheadMs: this.#wallAheadMs,
      leaseTtlMs: this.#plan.leaseTtlMs,
      windowMax: this.#plan.windowMax,
      conversation: this.#conversation,
      onFatal: () => {
        this.timeline.trace(`${name} stops fatally`);
        this.timeline.at(this.timeline.nowMs, () => this.#server === server && this.#crashServer(200));
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
    this.#disk.crash();
    for (const connection of this.#connections.values())
      connection.cut([this.#net.maybe(0.8) ? 1 : undefined, undefined]);
    this.timeline.at(this.timeline.nowMs + downMs, () => this.#startServer());
  }

  #startWorker(index: number): void {
    const name = `worker-${index}-${this.timeline.nowMs}`;
    const { timeline, checker } = this;
    const connect = (end: End): Connection | undefined => {
      const server = this.#server;
      if (server === undefined) return undefined;
      let connection: Connection;
      const other = server.accept(() => connection);
      connection = new Connection(timeline, this.#net, [end, other], this.#plan.latencyMs, index);
      this.#connections.set(index, connection);
      return connection;
    };
    const chance = new Chance(this.#plan.seed, name);
    this.#workers[index] = new SimulatedWorker({ timeline, chance, checker, connect }, name, this.#plan.capacity);
  }

  #heal(): void {
    this.timeline.trace("faults end");
    this.#faultsOver = true;
    this.#disk.full = false;
    this.#disk.failing = undefined;
    this.#disk.slowMs = 0;
    this.#startServer();
    this.#operate();
  }

  /** The operator lets go on what waits for a person. */
  #operate(): void {
    const server = this.#server;
    for (const choice of this.#plan.choices) {
      if (choice.kind !== "start" || server === undefined) continue;
      const runId = `run-${choice.run}`;
      // A start that was lost until now is waited for: its signals are sent when the run is there.
      if (this.checker.byId.get(runId)?.ended !== undefined || !this.checker.byId.has(runId)) continue;
      for (const name of signalsOf(choice.ops)) {
        const signal = { name, payload: undefined, requestId: `last-${choice.run}-${name}` };
        server.engine.signalRun({ namespace: "default", runId }, signal).catch(() => {});
      }
    }
    for (const { runId, ended } of this.checker.byId.values()) {
      if (ended !== undefined || server === undefined) continue;
      const row = server.store.findRun("default", runId);
      if (row?.status !== "PAUSED") continue;
      const resolution = row.pauseReason === "UNCERTAIN_EFFECT" ? ({ kind: "repeat" } as const) : undefined;
      server.engine.resumeRun({ namespace: "default", runId }, resolution).catch(() => {});
    }
    this.#clients.in(2_000, () => this.#operate());
  }

  /** One call of a client: lost, repeated, refused for now; tried again until it is answered. */
  #call(name: string, call: (engine: Engine) => Promise<unknown>, answered: (answer: unknown) => void): void {
    const { timeline, checker } = this;
    const net = this.#net;
    let done = false;
    this.#calls += 1;
    const finish = (answer: unknown): void => {
      if (done) return;
      done = true;
      this.#calls -= 1;
      timeline.trace(`${name} is answered`);
      try {
        answered(answer);
      } catch (error) {
        checker.violation(String(error)); // kept: nobody else hears of it
      }
    };
    const once = (): void => {
      const server = this.#server;
      if (server === undefined) return;
      server.process.in(net.float() * this.#plan.latencyMs, () => {
        // The caller may be told only after the server: an answer is judged when it leaves.
        call(server.engine).then(
          (answer) => {
            if (!server.process.alive || (!this.#faultsOver && net.maybe(this.#plan.lossShare))) return;
            finish(answer);
          },
          (error: unknown) => {
            if (!server.process.alive) return;
            if (!(error instanceof EngineError)) {
              checker.violation(`${name} threw ${(error as Error).stack}`);
              return;
            }
            const { reason } = error.refusal;
            if (reason === "BUSY" || reason === "DISK_FULL" || reason === "SHUTTING_DOWN" || reason === "INTERNAL")
              return;
            finish(error.refusal);
          },
        );
      });
    };
    const attempt = (): void => {
      if (done) return;
      if (this.#faultsOver || !net.maybe(this.#plan.lossShare)) once();
      if (!this.#faultsOver && net.maybe(this.#plan.repeatShare)) this.#clients.in(net.float() * 3_000, once);
      this.#clients.in(callRetryMs * (1 + net.float()), attempt);
    };
    attempt();
  }

  #signal(run: number, name: string, requestId: string): void {
    const ref = { namespace: "default", runId: `run-${run}` };
    const signal = { name, payload: undefined, requestId };
    this.#call(
      `signal ${requestId}`,
      (engine) => engine.signalRun(ref, signal),
      (answer) => {
        if ((answer as { kind?: string }).kind === "refused") return;
        const known = this.checker.known(ref.runId, "a signal");
        if (!known.requests.has(requestId))
          this.checker.violation(`I1 ${requestId} is acknowledged and not in the file`);
      },
    );
  }

  #apply(choice: Choice): void {
    this.fired[choice.kind] = (this.fired[choice.kind] ?? 0) + 1;
    this.timeline.trace(`choice ${JSON.stringify(choice)}`);
    const server = this.#server;
    switch (choice.kind) {
      case "start":
        return this.#start(choice);
      case "signal":
        return this.#signal(choice.run, choice.name, `signal-${choice.run}-${choice.name}-${choice.atMs}`);
      case "cancel":
      case "terminate":
      case "pause":
      case "resume":
      case "retry":
      case "get":
        return this.#steer(choice.kind, choice.run, choice.atMs);
      case "cut": {
        const toldMs = this.#net.float() * 500;
        const { deaf, worker } = choice;
        return this.#connections
          .get(worker)
          ?.cut([deaf === "worker" ? undefined : toldMs, deaf === "server" ? undefined : toldMs]);
      }
      case "stall":
        return this.#connections.get(choice.worker)?.stall(choice.from, choice.ms);
      case "crashWorker": {
        const worker = this.#workers[choice.worker];
        if (worker?.process.alive !== true) return;
        worker.process.alive = false;
        this.#connections.get(choice.worker)?.cut([undefined, this.#net.maybe(0.7) ? 5 : undefined]);
        return this.timeline.at(this.timeline.nowMs + choice.ms, () => this.#startWorker(choice.worker));
      }
      case "stopWorker":
        return this.#workers[choice.worker]?.process.stopFor(choice.ms);
      case "crashServer":
        return this.#crashServer(choice.ms);
      case "stopServer":
        return server?.process.stopFor(choice.ms);
      case "fullDisk":
        this.#disk.full = true;
        return this.timeline.at(this.timeline.nowMs + choice.ms, () => void (this.#disk.full = false));
      case "slowDisk":
        this.#disk.slowMs = 200;
        return this.timeline.at(this.timeline.nowMs + choice.ms, () => void (this.#disk.slowMs = 0));
      case "constraint":
      case "failedSync":
        this.#disk.failing = choice.kind === "constraint" ? "constraint" : "fatal";
        return;
      case "jump":
        this.#wallAheadMs += choice.ms;
    }
  }

  #start(choice: Extract<Choice, { kind: "start" }>): void {
    const runId = `run-${choice.run}`;
    const request = {
      namespace: "default",
      runId,
      workflow: "program",
      queue: "default",
      runKey: choice.key,
      priority: 5,
      input: { data: JSON.stringify(choice.ops), encoding: "" },
      startDelayMs: 0,
      runTimeoutMs: 0,
      requestId: `start-${choice.run}`,
    };
    this.#call(
      `start ${runId}`,
      async (engine) => (await engine.startRuns([request]))[0],
      (answer) => {
        const outcome = answer as { kind: string; reason?: string; runId: string };
        if (outcome.kind === "started" || outcome.reason === "RUN_KEY_TAKEN")
          this.checker.known(outcome.runId, "an answer");
        else this.checker.violation(`I11 ${runId} is refused: ${outcome.reason}`);
      },
    );
  }

  #steer(kind: "cancel" | "terminate" | "pause" | "resume" | "retry" | "get", run: number, atMs: number): void {
    const ref = { namespace: "default", runId: `run-${run}` };
    const ask = (engine: Engine): Promise<RunView> => {
      switch (kind) {
        case "cancel":
          return engine.cancelRun(ref, { reason: "", graceMs });
        case "terminate":
          return engine.terminateRun(ref, { reason: "" });
        case "pause":
          return engine.pauseRun(ref, { reason: "", graceMs });
        case "resume":
          return engine.resumeRun(ref, undefined);
        case "retry":
          return engine.retryRun(ref, { reason: "", requestId: `retry-${run}-${atMs}` });
        case "get":
          return engine.getRun(ref);
      }
    };
    this.#call(`${kind} ${ref.runId}`, ask, (answer) => {
      if ((answer as { kind?: string }).kind === "refused") return;
      const view = answer as RunView;
      const known = this.checker.known(view.runId, `the answer to ${kind}`);
      if (view.lastSeq > known.lastSeq) this.checker.violation(`I1 ${view.runId}: an answer shows what is not durable`);
      if (kind === "terminate" && known.ended === undefined)
        this.checker.violation(`I1 ${view.runId} is not terminated`);
    });
  }
}

function lengthOf(choice: Choice): number {
  return "ms" in choice && choice.kind !== "jump" ? choice.ms : 0;
}

function signalsOf(ops: readonly Op[]): string[] {
  return ops.flatMap((op) => (op.do === "signal" ? [op.name] : op.do === "parallel" ? signalsOf(op.ops) : []));
}

/** How long a program takes by itself at most. */
function worstMs(ops: readonly Op[]): number {
  return ops.reduce((sum, op) => sum + worstOfMs(op), 0);
}

function worstOfMs(op: Op): number {
  switch (op.do) {
    case "step":
      return op.attempts * (op.ms + (op.ms > 1_000 ? 7_000 : 200));
    case "once":
    case "sleep":
      return op.ms;
    case "signal":
      return op.timeoutMs;
    case "caught":
      return op.attempts * 100;
    case "parallel":
      return worstMs(op.ops);
  }
}
