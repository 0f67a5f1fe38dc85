import type { Calls } from "./calls.ts";
import { Chance } from "./chance.ts";
import type { Checker } from "./checker.ts";
import type { Fired } from "./fired.ts";
import { Connection, type End } from "./network.ts";
import type { Choice, Plan } from "./plan.ts";
import type { Server } from "./server.ts";
import { Process, type Timeline } from "./timeline.ts";
import { UnaryWorker } from "./unary-worker.ts";
import { SimulatedWorker } from "./worker.ts";

// The workers of a world, one life after the other, their streams, and what breaks of both.

export interface FleetWorld {
  readonly plan: Plan;
  readonly timeline: Timeline;
  readonly checker: Checker;
  readonly net: Chance;
  readonly calls: Calls;
  readonly fired: Fired;
  readonly server: () => Server | undefined;
}

export class Fleet {
  readonly #world: FleetWorld;
  readonly #workers: (SimulatedWorker | UnaryWorker)[] = [];
  readonly #connections = new Map<number, Connection>();
  readonly #deaths = new Map<string, number>();

  constructor(world: FleetWorld) {
    this.#world = world;
  }

  start(index: number): void {
    const { plan, timeline, checker, net, calls, fired } = this.#world;
    const { seed, leaseTtlMs, capacity, latencyMs, staleShare } = plan;
    const name = `worker-${index}-${timeline.nowMs}`;
    const chance = new Chance(seed, name);
    const dies = (runId: string, key: string, deaths: number): boolean => this.#dies(index, `${runId} ${key}`, deaths);
    if (index >= plan.workers) {
      const world = { timeline, chance, checker, calls, fired, leaseTtlMs, dies };
      this.#workers[index] = new UnaryWorker(world, new Process(timeline, name));
      return;
    }
    const connect = (end: End): Connection | undefined => {
      const server = this.#world.server();
      if (server === undefined) return undefined;
      let connection: Connection;
      const other = server.accept(() => connection);
      connection = new Connection(timeline, net, [end, other], latencyMs, index);
      this.#connections.set(index, connection);
      return connection;
    };
    const world = { timeline, chance, checker, fired, leaseTtlMs, staleShare, dies, connect };
    this.#workers[index] = new SimulatedWorker(world, name, capacity);
  }

  /** False when it is dead already. */
  crash(index: number, downMs: number): boolean {
    const { timeline, checker, net } = this.#world;
    const worker = this.#workers[index];
    if (worker?.process.alive !== true) return false;
    worker.process.alive = false;
    this.#connections.get(index)?.cut([undefined, net.maybe(0.7) ? 5 : undefined]);
    checker.stirred();
    timeline.at(timeline.nowMs + downMs, () => this.start(index));
    return true;
  }

  /** A step that kills its worker, so many times. */
  #dies(index: number, step: string, deaths: number): boolean {
    const before = this.#deaths.get(step) ?? 0;
    if (before >= deaths) return false;
    this.#deaths.set(step, before + 1);
    this.#world.timeline.trace(`${step} kills its worker`);
    if (this.crash(index, 100)) this.#world.fired.hit("deadlyStep");
    return true;
  }

  drain(index: number, ms: number): void {
    const { timeline, fired } = this.#world;
    const worker = this.#workers[index];
    if (worker instanceof SimulatedWorker) {
      if (worker.process.alive) fired.hit("drainWorker");
      void worker.drain(ms);
    }
    timeline.at(timeline.nowMs + ms + 100, () => {
      if (worker === this.#workers[index]) this.crash(index, 100);
    });
  }

  stop(index: number, ms: number): void {
    this.#workers[index]?.process.stopFor(ms, () => this.#world.fired.hit("stopWorker"));
  }

  cut({ worker, deaf, lateMs }: Extract<Choice, { kind: "cut" }>): void {
    const { net, fired } = this.#world;
    const toldMs = net.float() * 500;
    const lateToldMs = toldMs + lateMs;
    const cut = this.#connections
      .get(worker)
      ?.cut([deaf === "worker" ? undefined : toldMs, deaf === "server" ? undefined : lateToldMs]);
    if (cut !== true) return;
    if (deaf === "worker") fired.hit("cutDeafWorker");
    else if (deaf === "server") fired.hit("cutDeafServer");
    else fired.hit("cut");
    if (deaf !== "server" && lateMs > 0) fired.hit("cutLate");
  }

  stall({ worker, from, ms }: Extract<Choice, { kind: "stall" }>): void {
    const held = (): void => this.#world.fired.hit(from === 0 ? "stallFromWorker" : "stallFromServer");
    this.#connections.get(worker)?.stall(from, ms, held);
  }

  /** The server is gone: a worker hears of it, or not. */
  cutAll(): void {
    const { net } = this.#world;
    for (const connection of this.#connections.values()) connection.cut([net.maybe(0.8) ? 1 : undefined, undefined]);
  }
}
