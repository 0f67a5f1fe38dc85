import fc from "fast-check";
import type { Change } from "../../src/core/command.ts";
import type { Await } from "../../src/core/event.ts";
import { json } from "../support/given.ts";

// What can happen to a world, as data: small numbers stand for runs, workers and leases, so that commands meet each
// other often, are shrunk well, and mean the same in every world.

export type Command =
  | {
      readonly type: "start";
      readonly run: number;
      readonly workflow: number;
      readonly queue: number;
      readonly key: number;
      readonly priority: number;
      readonly startDelayMs: number;
      readonly runTimeoutMs: number;
      readonly requestId: string;
    }
  | { readonly type: "signal"; readonly run: number; readonly name: string; readonly requestId: string }
  | {
      readonly type: "signalWithStart";
      readonly run: number;
      readonly key: number;
      readonly name: string;
      readonly requestId: string;
    }
  | { readonly type: "takeSignal"; readonly run: number }
  | { readonly type: "addTimer"; readonly run: number; readonly delayMs: number }
  | { readonly type: "cancel" | "pause"; readonly run: number; readonly graceMs: number }
  | { readonly type: "terminate"; readonly run: number }
  | { readonly type: "resume"; readonly run: number; readonly resolution: "none" | "repeat" | "complete" | "fail" }
  | { readonly type: "retry"; readonly run: number; readonly requestId: string }
  | { readonly type: "acquire"; readonly worker: number; readonly requestId: string; readonly waitMs: number }
  | { readonly type: "unary"; readonly lease: number; readonly change: Change; readonly opId: number }
  | { readonly type: "release"; readonly lease: number; readonly retryAfterMs: number }
  | { readonly type: "renew"; readonly lease: number; readonly leaseTtlMs: number }
  | { readonly type: "hello"; readonly worker: number; readonly capacity: number; readonly holds: boolean }
  | {
      readonly type: "op";
      readonly worker: number;
      readonly lease: number;
      readonly opId: number;
      readonly afterRefused: number;
      readonly changes: readonly Change[];
    }
  | { readonly type: "accept" | "beat"; readonly worker: number }
  | { readonly type: "cut" | "drain" | "goodbye"; readonly worker: number };

/** Commands that come in one turn of the event loop; then time passes, or the engine is stopped and started. */
export interface Turn {
  readonly commands: readonly Command[];
  readonly afterMs: number;
  readonly restart: boolean;
}

const stepKey = fc.constantFrom("a", "b", "3", "__proto__");
const signalName = fc.constantFrom("go", "stop");
const small = fc.integer({ min: 0, max: 3 });
const output = fc.integer({ min: 0, max: 2 }).map((value) => json(value));
const failure = fc.constantFrom({ type: "Error", message: "m" }, { type: "Fatal", message: "never again" });
const retryPolicy = fc.constantFrom(
  undefined,
  { maxAttempts: 1 },
  { maxAttempts: 3, initialDelayMs: 500 },
  { maxAttempts: 0, initialDelayMs: 20_000, nonRetryableTypes: ["Fatal"] },
);
const awaited: fc.Arbitrary<Await> = fc.oneof(
  fc.record({ kind: fc.constant("timer" as const), stepKey }),
  fc.record({ kind: fc.constant("signal" as const), name: signalName }),
  fc.record({ kind: fc.constant("signal" as const), name: signalName, stepKey }),
  fc.record({ kind: fc.constant("retry" as const), stepKey }),
);
export const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("StartStep" as const),
      stepKey,
      attempt: fc.constantFrom(0, 0, 1, 2),
      atMostOnce: fc.constantFrom(false, false, true),
      timeoutMs: fc.constantFrom(0, 0, 2_000),
      input: fc.constant(undefined),
      retryPolicy,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("CompleteStep" as const),
      stepKey,
      attempt: fc.constantFrom(0, 0, 1),
      output,
      elapsedMs: fc.constantFrom(0, 7),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("FailStep" as const),
      stepKey,
      attempt: fc.constantFrom(1, 1, 2),
      failure,
      retryPolicy,
      elapsedMs: fc.constant(0),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("SetTimer" as const),
      stepKey,
      delayMs: fc.constantFrom(0, 1_000, 60_000),
      signalName: fc.constantFrom("", "", "go"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("CancelTimer" as const), stepKey }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("ConsumeSignal" as const), stepKey, name: signalName }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("SuspendRun" as const),
      awaits: fc.array(awaited, { maxLength: 2 }),
      noticesSeen: fc.constantFrom(0, 100),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("BackOff" as const),
      stepKey,
      retryCount: small,
      retriesMax: small,
      policy: fc.record({
        backoff: fc.constantFrom("fixed" as const, "linear" as const, "exponential" as const),
        initialDelayMs: fc.constantFrom(0, 500, 20_000),
        maxDelayMs: fc.constant(60_000),
        factor: fc.constant(2),
        jitter: fc.constant(0),
      }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("CompleteRun" as const), output }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("FailRun" as const),
      failure,
      failedSteps: fc.array(stepKey, { maxLength: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "CancelledRun" as const }) },
);

const requestId = fc.constantFrom("", "", "q1", "q2");
const lease = fc.integer({ min: 0, max: 5 });
const worker = fc.integer({ min: 0, max: 1 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("start" as const),
      run: fc.integer({ min: 0, max: 7 }),
      workflow: fc.integer({ min: 0, max: 1 }),
      queue: fc.constantFrom(0, 0, 1),
      key: fc.constantFrom(0, 0, 0, 1, 2),
      priority: fc.constantFrom(5, 5, 0, 9),
      startDelayMs: fc.constantFrom(0, 0, 0, 5_000),
      runTimeoutMs: fc.constantFrom(0, 0, 0, 90_000),
      requestId,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant("signal" as const), run: small, name: signalName, requestId }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("signalWithStart" as const),
      run: fc.integer({ min: 0, max: 7 }),
      key: fc.constantFrom(0, 0, 1, 2),
      name: signalName,
      requestId,
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("takeSignal" as const), run: small }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("addTimer" as const),
      run: small,
      delayMs: fc.constantFrom(-1_000, 0, 1_000, 60_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom("cancel" as const, "pause" as const),
      run: small,
      graceMs: fc.constantFrom(0, 3_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("terminate" as const), run: small }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("resume" as const),
      run: small,
      resolution: fc.constantFrom("none" as const, "repeat" as const, "complete" as const, "fail" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("retry" as const), run: small, requestId }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("acquire" as const),
      worker,
      requestId,
      waitMs: fc.constantFrom(0, 0, 4_000),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      type: fc.constant("unary" as const),
      lease,
      change,
      opId: fc.constantFrom(0, 0, 0, 1, 2, 3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("release" as const),
      lease,
      retryAfterMs: fc.constantFrom(0, 8_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("renew" as const),
      lease,
      leaseTtlMs: fc.constantFrom(0, 10_000, 60_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("hello" as const),
      worker,
      capacity: fc.integer({ min: 0, max: 3 }),
      holds: fc.boolean(),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      type: fc.constant("op" as const),
      worker,
      lease,
      opId: fc.integer({ min: 1, max: 6 }),
      afterRefused: fc.constantFrom(0, 0, 1, 2),
      changes: fc.array(change, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constantFrom("accept" as const, "beat" as const), worker }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constantFrom("cut" as const, "drain" as const, "goodbye" as const),
      worker,
    }),
  },
);

export const turn: fc.Arbitrary<Turn> = fc.record({
  commands: fc.array(command, { minLength: 1, maxLength: 4 }),
  afterMs: fc.constantFrom(0, 0, 0, 1, 1_500, 12_000, 31_000),
  restart: fc.constantFrom(...Array<boolean>(24).fill(false), true),
});
