// A scripted server for session tests: a virtual clock, streams without a network, and answers that a test writes out.
import { create } from "@bufbuild/protobuf";
import type { SessionPorts, StreamEvents } from "../../clients/typescript/src/ports.ts";
import type { AnyWorkflow } from "../../clients/typescript/src/workflow.ts";
import { Worker, type WorkerOptions } from "../../clients/typescript/src/worker.ts";
import { type Change, ChangeResultSchema, type Op, type OpResultSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import { LeaseSchema } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import {
  AssignmentSchema,
  type Hello,
  type JournalEntry,
  JournalEntrySchema,
  type NoticeSchema,
  type ServerFrame,
  ServerFrameSchema,
  type WorkerFrame,
} from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";

interface Timer {
  readonly atMs: number;
  readonly fire: () => void;
}

/** Lets everything run that is ready: microtasks and deferred work. */
export async function turns(count = 6): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

export class VirtualClock {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return this.#nowMs;
  }

  get timers(): number {
    return this.#timers.size;
  }

  setTimer(delayMs: number, fire: () => void): { cancel(): void } {
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) if (timer.atMs <= endMs && timer.atMs < (next?.atMs ?? Infinity)) next = timer;
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
      await turns(3);
    }
    this.#nowMs = endMs;
    await turns(3);
  }
}

export type Answer = (op: Op, index: number) => MessageInitShape<typeof OpResultSchema>["result"] | "drop";

const applied: Answer = (op) => ({
  case: "applied",
  value: { results: op.changes.flatMap((change, index) => outcomeOf(change, index)) },
});

function outcomeOf(change: Change, index: number) {
  if (change.change.case !== "setTimer") return [];
  const value = { delayMs: change.change.value.delayMs };
  return [create(ChangeResultSchema, { index, outcome: { case: "timer", value } })];
}

export const refused = (reason: ErrorReason, more: object = {}): ReturnType<Answer> => ({
  case: "refused",
  value: { reason, message: `refused ${ErrorReason[reason as never]}`, ...more },
});

export class Peer {
  readonly clock = new VirtualClock();
  readonly frames: WorkerFrame[] = [];
  /** How the next ops are answered; default: all applied. */
  answer: Answer = applied;
  settings = { leaseTtlMs: 30_000n, beatIntervalMs: 10_000n, watchdogMs: 25_000n };
  streams = 0;
  kept: (leaseId: Uint8Array) => boolean = () => true;
  worker!: Worker;
  #events: StreamEvents | undefined;

  ports(): SessionPorts {
    return {
      clock: this.clock,
      random: () => 0.5,
      newId: () => "instance-1",
      defer: (run) => void setImmediate(run),
      isPermanent: () => false,
      renewTransport: () => {},
      close: () => {},
      openStream: (events) => {
        this.streams += 1;
        this.#events = events;
        return {
          waitingFrames: 0,
          send: (frame) => {
            if (this.#events === events) this.#take(frame);
          },
          finish: () => setImmediate(() => this.#events === events && events.onEnd(undefined)),
          abort: () => {
            if (this.#events === events) this.#events = undefined;
          },
        };
      },
    };
  }

  async start(workflows: readonly AnyWorkflow[], options: Partial<WorkerOptions> = {}): Promise<Worker> {
    this.worker = new Worker({ workflows, ports: this.ports(), log: () => {}, ...options }).start();
    await turns();
    return this.worker;
  }

  send(frame: MessageInitShape<typeof ServerFrameSchema>["frame"]): void {
    this.#events?.onFrame(create(ServerFrameSchema, { frame }) as ServerFrame);
  }

  cut(error: unknown = new Error("cut")): void {
    const events = this.#events;
    this.#events = undefined;
    events?.onEnd(error);
  }

  #take(frame: WorkerFrame): void {
    this.frames.push(frame);
    const { case: kind, value } = frame.frame;
    if (kind === "hello") setImmediate(() => this.#welcome(value));
    if (kind === "beat") setImmediate(() => this.send({ case: "beatAck", value: { beatSeq: value.beatSeq } }));
    if (kind === "drain") setImmediate(() => this.send({ case: "drainAck", value: {} }));
    if (kind === "ops") setImmediate(() => this.#answerOps(value.ops));
  }

  #welcome(hello: Hello): void {
    this.send({
      case: "welcome",
      value: {
        sessionId: "session-1",
        resumeToken: new Uint8Array([1]),
        settings: this.settings,
        verdicts: hello.held.map((held) => ({
          leaseId: held.lease!.leaseId,
          kept: this.kept(held.lease!.leaseId),
        })),
      },
    });
  }

  #answerOps(ops: readonly Op[]): void {
    const results = ops.flatMap((op, index) => {
      const result = this.answer(op, index);
      return result === "drop" ? [] : [{ opId: op.opId, leaseId: op.lease!.leaseId, result }];
    });
    if (results.length > 0) this.send({ case: "opResults", value: { results } });
  }

  assign(run: number, workflow: string, more: MessageInitShape<typeof AssignmentSchema> = {}): void {
    const assignment = create(AssignmentSchema, {
      lease: create(LeaseSchema, { runId: `run-${run}`, leaseId: leaseIdOf(run), epoch: 7n }),
      namespace: "default",
      workflow,
      journalThrough: 2n,
      ...more,
    });
    this.send({ case: "assign", value: { assignments: [assignment] } });
  }

  notice(run: number, seq: number, what: MessageInitShape<typeof NoticeSchema>["what"]): void {
    const notices = [{ leaseId: leaseIdOf(run), seq: BigInt(seq), what }];
    this.send({ case: "notices", value: { notices } });
  }

  ops(): Op[] {
    return this.frames.flatMap(({ frame }) => (frame.case === "ops" ? frame.value.ops : []));
  }

  /** Every change that was sent, as "kind:key". */
  changes(): string[] {
    return this.ops().flatMap((op) => op.changes.map(nameOf));
  }

  kinds(): string[] {
    return this.frames.map(({ frame }) => frame.case ?? "none");
  }

  change<K extends Change["change"]["case"]>(kind: K): Extract<Change["change"], { case: K }>["value"] | undefined {
    for (const op of this.ops().toReversed()) {
      for (const { change } of op.changes) if (change.case === kind) return change.value as never;
    }
    return undefined;
  }
}

function nameOf({ change }: Change): string {
  const key = (change.value as { stepKey?: string } | undefined)?.stepKey;
  return key === undefined ? `${change.case}` : `${change.case}:${key}`;
}

export function leaseIdOf(run: number): Uint8Array {
  return new Uint8Array(16).fill(run);
}

export function entry(stepKey: string, recorded: MessageInitShape<typeof JournalEntrySchema>["entry"]): JournalEntry {
  return create(JournalEntrySchema, { stepKey, entry: recorded });
}

export const json = (value: unknown) => ({ data: { case: "json" as const, value: JSON.stringify(value) } });

export const completed = (stepKey: string, value: unknown): JournalEntry =>
  entry(stepKey, { case: "completed", value: { output: json(value) } });
