import { setImmediate as immediate } from "node:timers/promises";
import type { Change } from "../../src/core/command.ts";
import type { Engine, SessionHandle, StartRequest } from "../../src/engine/api.ts";
import { createEngineOn, type EngineOptions } from "../../src/engine/engine.ts";
import type { Assignment, Hello, LeaseHandle, ServerFrame } from "../../src/engine/frames.ts";
import { createSystemRandom } from "../../src/engine/random.ts";
import { silentLog } from "../../src/engine/telemetry.ts";
import { createMemoryStore } from "../../src/store/memory/store.ts";
import type { Store } from "../../src/store/store.ts";
import { TestClock } from "./test-clock.ts";

/** An engine under a clock that stands still, on a store of the test's choice. */
export class EngineRig {
  readonly clock: TestClock;
  readonly store: Store;
  readonly engine: Engine;
  readonly fatal: string[] = [];

  constructor(options: { store?: Store; clock?: TestClock } & Partial<Omit<EngineOptions, "store" | "clock">> = {}) {
    this.clock = options.clock ?? new TestClock();
    this.store = options.store ?? createMemoryStore();
    this.engine = createEngineOn({
      random: createSystemRandom(),
      log: silentLog,
      onFatal: (message) => this.fatal.push(message),
      ...options,
      store: this.store,
      clock: this.clock,
    });
  }

  /** Waits until nothing is decided or committed any more. */
  settle = async (): Promise<void> => {
    // A commit that a test holds open never ends by itself: give up after many turns.
    for (let quiet = 0, turns = 0; quiet < 5 && turns < 1_000; quiet++, turns++) {
      await immediate();
      if (this.engine.status().mailbox > 0) quiet = 0;
    }
  };
  advanceMs(ms: number): Promise<void> {
    return this.clock.advanceMs(ms, this.settle);
  }
  start(more: Partial<StartRequest> = {}) {
    return this.engine.startRuns([startRequest(more)]).then(([outcome]) => outcome!);
  }
  async started(more: Partial<StartRequest> = {}): Promise<string> {
    const outcome = await this.start(more);
    if (outcome.kind !== "started") throw new Error(outcome.message);
    return outcome.runId;
  }
  run(runId: string) {
    return this.engine.getRun({ namespace: "default", runId });
  }
  async eventTypes(runId: string): Promise<string[]> {
    const page = await this.engine.history({ namespace: "default", runId }, { afterSeq: 0, limit: 1_000 });
    return page.items.map((event) => event.type);
  }
  worker(more: Partial<Hello> = {}): RigWorker {
    return new RigWorker(this, more);
  }
  acquire(more: { workerId?: string; requestId?: string; waitMs?: number; leaseTtlMs?: number } = {}) {
    const request = {
      namespace: "default",
      queues: ["default"],
      workflows: [],
      workerId: "w",
      requestId: "",
      waitMs: 0,
      leaseTtlMs: 0,
    };
    return this.engine.acquireLease({ ...request, ...more }, new AbortController().signal);
  }
  unary(lease: LeaseHandle, change: Change, opId = 0) {
    return this.engine.applyUnary({ namespace: "default", lease, opId, change });
  }
}

export function startRequest(more: Partial<StartRequest> = {}): StartRequest {
  return {
    namespace: "default",
    runId: "",
    workflow: "order",
    queue: "default",
    runKey: "",
    priority: 5,
    input: undefined,
    startDelayMs: 0,
    runTimeoutMs: 0,
    requestId: "",
    ...more,
  };
}

let instances = 0;

/** A worker's end of a session, frame by frame. */
export class RigWorker {
  readonly frames: ServerFrame[] = [];
  readonly handle: SessionHandle;
  readonly rig: EngineRig;
  readonly hello: Hello;
  ended = false;
  /** False: what the server pushes is left untaken. */
  reading = true;
  private opId = 0;

  constructor(rig: EngineRig, more: Partial<Hello>) {
    this.rig = rig;
    this.hello = {
      protocolVersion: 1,
      instanceId: `instance-${++instances}`,
      identity: "rig",
      sdk: "test",
      buildId: "",
      namespace: "default",
      queues: ["default"],
      workflows: ["order"],
      capacity: 10,
      resume: undefined,
      held: [],
      ...more,
    };
    this.handle = rig.engine.openSession({
      wake: () => setImmediate(() => this.read()),
      end: () => {
        this.ended = true;
        setImmediate(() => this.read());
      },
    });
  }
  private read(): void {
    if (this.reading) this.takeWaiting();
  }
  /** Takes what waits, also while it does not read by itself; true when there was something. */
  takeWaiting(): boolean {
    for (let taken = false; ; taken = true) {
      const frames = this.handle.take(256 * 1024);
      if (frames.length === 0) return taken;
      this.frames.push(...frames);
    }
  }
  resumeReading(): void {
    this.reading = true;
    this.read();
  }
  async greeted(): Promise<this> {
    this.handle.hello(this.hello);
    await this.rig.settle();
    return this;
  }
  of<K extends ServerFrame["kind"]>(kind: K): Extract<ServerFrame, { kind: K }>[] {
    return this.frames.filter((frame) => frame.kind === kind) as Extract<ServerFrame, { kind: K }>[];
  }
  get assignments(): Assignment[] {
    return this.of("assign").map((frame) => frame.assignment);
  }
  get notices() {
    return this.of("notice").map((frame) => frame.notice);
  }
  accept(...leases: LeaseHandle[]): void {
    this.handle.accept(leases);
  }
  async op(lease: LeaseHandle, changes: Change[], more: { opId?: number; afterRefused?: number } = {}) {
    const opId = more.opId ?? ++this.opId;
    this.handle.op({ opId, lease, changes, afterRefused: more.afterRefused ?? 0 });
    await this.rig.settle();
    return this.of("opResult").findLast((frame) => frame.result.opId === opId)?.result.outcome;
  }
  beat(...leases: LeaseHandle[]): void {
    this.handle.beat(
      1,
      leases.map(({ leaseId, epoch }) => ({ leaseId, epoch, noticesSeen: 0 })),
    );
  }
}
