import type { Checker } from "./checker.ts";

// What an answer may say: only what is durable, a refusal too. The same judgement for streams and for single calls.

/** What was asked under a lease, as far as the answer can be judged by it. */
export interface Asked {
  readonly runId: string;
  readonly leaseId: string;
  readonly changes: readonly AskedChange[];
}

export interface AskedChange {
  readonly type: string;
  readonly stepKey: string;
  /** JSON of a step's result. */
  readonly output: string | undefined;
}

/** Facts of a step key of which one must be durable when the change is said to be applied. */
const factsOf: Readonly<Record<string, readonly string[]>> = {
  CompleteStep: ["StepCompleted"],
  FailStep: ["StepAttemptFailed", "StepFailed"],
  // A wait that has its signal needs no timer: one that is set behind it changes nothing.
  SetTimer: ["TimerSet", "SignalConsumed"],
  ConsumeSignal: ["SignalConsumed"],
  CancelTimer: ["TimerCancelled"],
};
const ending: ReadonlySet<string> = new Set(["SuspendRun", "CompleteRun", "FailRun", "CancelledRun"]);

export function judgeApplied(checker: Checker, { runId, leaseId, changes }: Asked): void {
  const run = checker.known(runId, "a result");
  for (const { type, stepKey, output } of changes) {
    const facts = factsOf[type];
    if (facts !== undefined && !facts.some((fact) => run.facts.has(`${fact} ${stepKey}`))) {
      throw checker.violation(`I1 ${runId}: ${type} of ${stepKey} is acknowledged before it is durable`);
    }
    if (type === "CompleteStep" && run.results.get(stepKey) !== output) {
      throw checker.violation(`I4 ${runId}: ${output} is acknowledged, recorded is ${run.results.get(stepKey)}`);
    }
    if (ending.has(type) && run.leased && run.leaseId === leaseId) {
      throw checker.violation(`I1 ${runId}: ${type} is acknowledged before it is durable`);
    }
  }
}

export function judgeRefused(checker: Checker, asked: Asked, reason: string, message: string): void {
  const { runId, leaseId, changes } = asked;
  judgeRefusal(checker, runId, reason, message);
  const run = checker.byId.get(runId);
  if (run === undefined) return;
  if (reason === "LEASE_LOST" && run.leased && run.leaseId === leaseId) {
    throw checker.violation(`I5 the live lease of ${runId} is called lost`);
  }
  const [first] = changes;
  if (first === undefined || changes.length > 1) return;
  const { stepKey } = first;
  if (reason === "STEP_COMPLETED") {
    if (!run.results.has(stepKey))
      throw checker.violation(`I1 ${runId}: a refusal tells of a result that is not durable`);
    if (first.type === "CompleteStep" && run.results.get(stepKey) === first.output) {
      throw checker.violation(`I4 ${runId}: the recorded result of ${stepKey}, completed again, is refused`);
    }
  }
  const early =
    (reason === "STEP_FAILED" && !run.facts.has(`StepFailed ${stepKey}`)) ||
    (reason === "WAIT_TIMED_OUT" && !run.facts.has(`TimerFired ${stepKey}`)) ||
    (reason === "RUN_PAUSED" && run.pauses === 0);
  if (early) throw checker.violation(`I1 ${runId}: ${reason} of ${stepKey} tells of what is not durable`);
}

/** A refusal of any call about a run. */
export function judgeRefusal(checker: Checker, runId: string, reason: string, message: string): void {
  checker.bug(runId, { reason, message });
  const run = checker.byId.get(runId);
  const tellsOfEnd = reason === "RUN_CLOSED" || /run is (COMPLETED|CANCELLED|TERMINATED)/.test(message);
  if (tellsOfEnd && run?.everEnded !== true) {
    throw checker.violation(`I1 ${runId}: a refusal tells of an end that is not durable: ${message}`);
  }
  if (reason === "RUN_EXISTS" && run === undefined) {
    throw checker.violation(`I1 ${runId}: a refusal tells of a run that is not durable`);
  }
}
