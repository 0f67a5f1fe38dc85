import { expect } from "vitest";
import type { Change, LeaseRef, RunCommand } from "../../src/core/command.ts";
import { decide } from "../../src/core/decide.ts";
import { sealStarts } from "../../src/core/open-starts.ts";
import { decideStartRun } from "../../src/core/decide-run.ts";
import type { Accepted, DecideLimits, Decision } from "../../src/core/decision.ts";
import { digestOf } from "../../src/core/digest.ts";
import type { ErrorReason } from "../../src/core/errors.ts";
import type { EventTypeName, RunEvent } from "../../src/core/event.ts";
import { createState } from "../../src/core/new-state.ts";
import { put } from "../../src/core/sparse-map.ts";
import { evolve } from "../../src/core/evolve.ts";
import type { RunState } from "../../src/core/state.ts";

// Given what happened, when a command comes, then these events or this refusal. Time stands still unless moved.

export const testLimits: DecideLimits = {
  historyEventsMax: 50_000,
  historyBytesMax: 64 * 1024 * 1024,
  reservedEvents: 1_000,
  reservedBytes: 5 * 1024 * 1024,
  openSignalsMax: 1_000,
  pendingTimersMax: 1_000,
  deliveriesMax: 10,
};

export const json = (value: unknown) => ({ data: JSON.stringify(value), encoding: "" });

export class Scenario {
  readonly state: RunState;
  readonly events: RunEvent[] = [];
  nowMs = 1_000_000;
  limits: DecideLimits = testLimits;
  decision: Decision | undefined;
  private opId = 0;

  constructor(start: { startDelayMs?: number; runTimeoutMs?: number; priority?: number } = {}) {
    this.state = createState({ runNo: 1, namespace: "default", runId: "r1" });
    this.record([
      decideStartRun(
        {
          type: "StartRun",
          workflow: "order",
          queue: "default",
          runKey: "",
          priority: start.priority ?? 5,
          input: undefined,
          startDelayMs: start.startDelayMs ?? 0,
          runTimeoutMs: start.runTimeoutMs ?? 0,
          requestId: "",
        },
        this.nowMs,
      ),
    ]);
  }

  private record(events: readonly RunEvent[]): void {
    for (const event of events) {
      evolve(this.state, event);
      this.events.push(event);
    }
  }

  get lease(): LeaseRef {
    return { leaseId: this.state.lease?.leaseId ?? this.state.lastLeaseId, epoch: this.state.epoch };
  }

  /** Decides; records when it was accepted. */
  when(command: RunCommand): this {
    this.decision = decide(this.state, command, {
      nowMs: this.nowMs,
      random: () => 0,
      stored: (seq) => this.events[seq - 1]?.payload,
      limits: this.limits,
    });
    if (this.decision.kind === "accepted") {
      this.record(this.decision.events);
      const { state } = this;
      for (const [key, start] of this.decision.starts) state.pendingStarts = put(state.pendingStarts, key, start);
    }
    return this;
  }
  granted(): this {
    const leaseId = `lease-${this.state.epoch + 1}`;
    this.when({ type: "Grant", leaseId, ttlMs: 30_000, workerId: "w", instanceId: "i", requestId: "" });
    this.opId = 0;
    return this;
  }
  op(changes: Change[], more: { opId?: number; lease?: LeaseRef; onSession?: boolean } = {}): this {
    const opId = more.opId ?? ++this.opId;
    return this.when({
      type: "ApplyOp",
      lease: more.lease ?? this.lease,
      opId,
      afterRefused: 0,
      changes,
      digest: digestOf(changes),
      onSession: more.onSession ?? true,
    });
  }
  /** The batch is sealed: open starts become events. */
  sealed(): this {
    this.record(sealStarts(this.state, this.nowMs));
    return this;
  }
  after(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  thenRefuses(reason: ErrorReason): this {
    expect(this.decision).toMatchObject({ kind: "refused", reason });
    return this;
  }
  thenRecords(...types: EventTypeName[]): this {
    expect(this.decision?.kind, JSON.stringify(this.decision)).toBe("accepted");
    expect((this.decision as Accepted).events.map((event) => event.type)).toEqual(types);
    return this;
  }
  thenIs(status: RunState["status"]): this {
    expect(this.state.status).toBe(status);
    return this;
  }
}

export function startStep(stepKey: string, more: Partial<Change & { type: "StartStep" }> = {}): Change {
  return {
    type: "StartStep",
    stepKey,
    attempt: 0,
    atMostOnce: false,
    timeoutMs: 0,
    input: undefined,
    retryPolicy: undefined,
    ...more,
  };
}
export function completeStep(stepKey: string, output: unknown = stepKey, attempt = 0): Change {
  return { type: "CompleteStep", stepKey, attempt, output: json(output), elapsedMs: 0 };
}
export function failStep(stepKey: string, attempt: number, type = "Error"): Change {
  return { type: "FailStep", stepKey, attempt, failure: { type, message: "m" }, retryPolicy: undefined, elapsedMs: 0 };
}
