import type { EventTypeName, RunEvent } from "../../src/core/event.ts";
import { type Op, opsByKey } from "./programs.ts";

// What was asked of the engine, written down where the simulation asks it: by clients and operators of runs, by workers
// under their leases. An event that nobody asked for, and that no rule of time or of loss explains, is a bug.

/** A start as its client sent it. */
export interface AskedStart {
  readonly workflow: string;
  readonly queue: string;
  readonly runKey: string;
  readonly startDelayMs: number;
  readonly runTimeoutMs: number;
  readonly requestId: string;
  readonly program: readonly Op[];
}

export type Wish = "cancel" | "terminate" | "pause" | "resume" | "retry";

/** The change that a worker asks for when it wants the event. */
const changeOf: Partial<Record<EventTypeName, string>> = {
  StepStarted: "StartStep",
  StepAttemptFailed: "FailStep",
  StepCompleted: "CompleteStep",
  StepFailed: "FailStep",
  TimerSet: "SetTimer",
  TimerCancelled: "CancelTimer",
  SignalConsumed: "ConsumeSignal",
  RunSuspended: "SuspendRun",
  RunCompleted: "CompleteRun",
  RunFailed: "FailRun",
  RunCancelled: "CancelledRun",
};
/** What the server writes when a time has come, or on somebody's word that end-rules.ts asks for. */
const withoutHolder: ReadonlySet<EventTypeName> = new Set([
  "SignalConsumed", // by a suspended run's wait: wake-rules.ts asks for its word
  "StepAttemptFailed", // an uncertain effect that is repeated on request
  "RunFailed",
  "RunCancelled",
]);

export class Requests {
  readonly #starts = new Map<string, AskedStart & { readonly ops: ReadonlyMap<string, Op> }>();
  readonly #wishes = new Map<string, number>();
  readonly #changes = new Set<string>();
  readonly #releases = new Map<string, number>();

  start(runId: string, start: AskedStart): void {
    this.#starts.set(runId, { ...start, ops: opsByKey(start.program) });
  }
  startOf(runId: string): AskedStart | undefined {
    return this.#starts.get(runId);
  }
  /** What the run's program does under this step key. */
  op(runId: string, stepKey: string): Op | undefined {
    return this.#starts.get(runId)?.ops.get(stepKey);
  }

  /** A call that has reached the engine; `requestId` when it brings one. */
  wish(runId: string, wish: Wish, requestId = ""): void {
    for (const key of new Set([`${runId} ${wish}`, `${runId} ${wish} ${requestId}`]))
      this.#wishes.set(key, (this.#wishes.get(key) ?? 0) + 1);
  }
  /** How many calls have asked for it. */
  wishes(runId: string, wish: Wish): number {
    return this.#wishes.get(`${runId} ${wish}`) ?? 0;
  }
  wished(runId: string, wish: Wish, requestId: string): boolean {
    return this.#wishes.has(`${runId} ${wish} ${requestId}`);
  }

  /** A worker asks for a change under its lease. */
  change(leaseId: string, type: string, stepKey = ""): void {
    this.#changes.add(`${leaseId} ${type} ${stepKey}`);
  }
  changed(leaseId: string, type: string, stepKey = ""): boolean {
    return this.#changes.has(`${leaseId} ${type} ${stepKey}`);
  }

  release(leaseId: string, retryAfterMs: number): void {
    this.#releases.set(leaseId, retryAfterMs);
  }
  retryAfterMs(leaseId: string): number {
    return this.#releases.get(leaseId) ?? 0;
  }

  /** What is broken when nobody asked for an event of steps, waits and ends. */
  unasked(leaseId: string, event: RunEvent): string | undefined {
    const change = changeOf[event.type];
    if (change === undefined) return undefined;
    if (event.epoch === 0) return withoutHolder.has(event.type) ? undefined : "I5 no lease wrote it";
    return this.changed(leaseId, change, event.stepKey) ? undefined : `I5 its holder did not ask for ${change}`;
  }
}
