import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, RunCommand } from "../../src/core/command.ts";
import { resultTypes, type RunEvent } from "../../src/core/event.ts";
import { foldEvents } from "../../src/core/evolve.ts";
import { deadlineKinds, finalStatuses } from "../../src/core/state.ts";
import { change } from "../model/command.ts";
import { completeStep, json, Scenario, startStep, testLimits } from "../support/given.ts";

// What holds whatever is asked of a run, in whatever order. Each sequence is random; a failing one is shrunk and
// printed with its seed.

type Act =
  | { readonly kind: "command"; readonly command: RunCommand }
  | { readonly kind: "grant" }
  | { readonly kind: "endLease"; readonly reason: "EXPIRED" | "RESTART" }
  | { readonly kind: "release" }
  | {
      readonly kind: "op";
      readonly opId: number;
      readonly changes: readonly Change[];
      readonly onSession: boolean;
    }
  | { readonly kind: "seal" }
  | { readonly kind: "pass"; readonly ms: number };

const failure = { type: "x", message: "" };
const command: fc.Arbitrary<RunCommand> = fc.oneof(
  fc.record({
    type: fc.constant("SignalRun" as const),
    name: fc.constantFrom("go", "stop"),
    payload: fc.constant(json(1)),
    requestId: fc.constantFrom("", "q"),
  }),
  fc.constant({ type: "CancelRun" as const, reason: "", graceMs: 1_000 }),
  fc.constant({ type: "PauseRun" as const, reason: "", graceMs: 1_000 }),
  fc.record({
    type: fc.constant("ResumeRun" as const),
    resolution: fc.constantFrom(
      undefined,
      { kind: "repeat" as const },
      { kind: "complete" as const, output: json(2) },
      { kind: "fail" as const, failure },
    ),
  }),
  fc.record({ type: fc.constant("RetryRun" as const), reason: fc.constant(""), requestId: fc.constantFrom("", "q") }),
  fc.record({
    type: fc.constant("DeadlineDue" as const),
    kind: fc.constantFrom(...deadlineKinds),
    stepKey: fc.constantFrom("", "a", "b", "3"),
  }),
);
const actWith = (changes: fc.Arbitrary<Change>): fc.Arbitrary<Act> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant({ kind: "grant" as const }) },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("op" as const),
        opId: fc.integer({ min: 0, max: 6 }),
        changes: fc.array(changes, { minLength: 1, maxLength: 3 }),
        onSession: fc.boolean(),
      }),
    },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("command" as const), command }) },
    { weight: 3, arbitrary: fc.constant({ kind: "seal" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "release" as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("endLease" as const),
        reason: fc.constantFrom("EXPIRED" as const, "RESTART" as const),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(1, 1_500, 70_000) }) },
  );

function perform(run: Scenario, doing: Act): void {
  switch (doing.kind) {
    case "command":
      run.when(doing.command);
      return;
    case "grant":
      run.granted();
      return;
    case "endLease":
      run.when({ type: "EndLease", leaseId: run.lease.leaseId, reason: doing.reason, uncounted: false });
      return;
    case "release":
      run.when({ type: "ReleaseLease", lease: run.lease, retryAfterMs: 0 });
      return;
    case "op":
      run.op([...doing.changes], { opId: doing.opId, onSession: doing.onSession });
      return;
    case "seal":
      run.sealed();
      return;
    case "pass":
      run.after(doing.ms);
  }
}

/** Starts that wait for their batch are in memory only: the fold of the events knows nothing of them. */
function folded(events: readonly RunEvent[]) {
  return foldEvents({ runNo: 1, namespace: "default", runId: "r1" }, events);
}

test("whatever is asked of a run", { timeout: 120_000 }, () => {
  const holds = fc.property(fc.array(actWith(change), { maxLength: 60, size: "max" }), (acts) => {
    const run = new Scenario({ runTimeoutMs: 600_000 });
    run.limits = { ...testLimits, deliveriesMax: 4, historyEventsMax: 60, reservedEvents: 30, pendingTimersMax: 2 };
    for (const doing of acts) {
      const before = structuredClone(run.state);
      const length = run.events.length;
      run.decision = undefined;
      perform(run, doing);
      if (run.decision !== undefined && (run.decision as { kind: string }).kind !== "accepted") {
        expect(run.state, "a refusal changes nothing").toEqual(before);
      }
      if (finalStatuses.has(before.status) && run.events.length > length) {
        expect(run.events[length]?.type, "only a retry opens a closed run").toBe("RunReopened");
      }
      const { lease, status } = run.state;
      expect(lease !== undefined, "a run is leased while it is RUNNING, and only then").toBe(status === "RUNNING");
      if (status === "WAITING") expect(run.state.awaits.length, "what waits, waits for something").toBeGreaterThan(0);
    }
    run.sealed();
    expect(run.events.map(({ seq }) => seq)).toEqual(run.events.map((_, index) => index + 1));
    expect(folded(run.events)).toEqual(run.state);

    const results = new Set<string>();
    let epoch = 0;
    let leased = false;
    for (const event of run.events) {
      if (resultTypes.has(event.type)) {
        expect(results.has(event.stepKey), `two results of ${event.stepKey}`).toBe(false);
        results.add(event.stepKey);
      }
      if (event.type === "LeaseGranted") {
        expect(leased).toBe(false);
        expect(event.epoch).toBe(epoch + 1);
        epoch += 1;
        leased = true;
      }
      if (event.type === "LeaseEnded") leased = false;
      expect(event.epoch, "nothing is written under an old epoch").toSatisfy((e: number) => e === 0 || e === epoch);
    }
  });
  fc.assert(holds, { numRuns: 3_000 });
});

/** Few keys and few kinds, so that steps are often open when something ends their lease. */
const onceOnly: fc.Arbitrary<Change> = fc.constantFrom(
  startStep("a", { atMostOnce: true }),
  startStep("b", { atMostOnce: true }),
  completeStep("a"),
);

test("an at-most-once step is never started again without somebody's word", () => {
  const holds = fc.property(fc.array(actWith(onceOnly), { maxLength: 60, size: "max" }), (acts) => {
    const run = new Scenario({ runTimeoutMs: 600_000 });
    for (const doing of acts) perform(run, doing);
    const open = new Map<string, number>();
    for (const event of run.events) {
      const { stepKey } = event;
      if (event.type === "StepStarted" && event.detail.atMostOnce === true) open.set(stepKey, event.epoch);
      else if (["StepCompleted", "StepFailed", "StepAttemptFailed"].includes(event.type)) open.delete(stepKey);
      if (event.type !== "LeaseGranted") continue;
      expect([...open.keys()], `granted with an uncertain step, epoch ${event.epoch}`).toEqual([]);
    }
  });
  fc.assert(holds, { numRuns: 3_000 });
});
