import { payloadBytes, utf8Length } from "../../core/payload.ts";
import type { RunView, SignalInfo, StepView, TimerInfo } from "../../engine/api.ts";
import type { SignalView } from "../../engine/frames.ts";
import type { RunStatus as StatusName } from "../../core/state.ts";
import { PauseReason, type Run, RunStatus } from "../../../gen/ts/everstep/v1/run_pb.ts";
import type { Signal } from "../../../gen/ts/everstep/v1/signal_pb.ts";
import { type Step, StepKind, StepStatus } from "../../../gen/ts/everstep/v1/step_pb.ts";
import { type Timer, TimerKind } from "../../../gen/ts/everstep/v1/timer_pb.ts";
import { invalid } from "../validate.ts";
import { failureTo } from "./failure.ts";
import { payloadTo } from "./payload.ts";

// What the engine shows of a run, for the wire.

export function runTo(run: RunView): Run {
  return {
    $typeName: "everstep.v1.Run",
    namespace: run.namespace,
    runId: run.runId,
    workflow: run.workflow,
    queue: run.queue,
    runKey: run.runKey,
    status: RunStatus[run.status],
    pauseReason: PauseReason[run.pauseReason ?? "UNSPECIFIED"],
    cancelRequested: run.cancelRequested,
    input: payloadTo(run.input),
    output: payloadTo(run.output),
    failure: failureTo(run.failure),
    priority: run.priority,
    version: BigInt(run.version),
    stepsCompleted: BigInt(run.stepsCompleted),
    lastSeq: BigInt(run.lastSeq),
    epoch: BigInt(run.epoch),
    workerId: run.workerId,
    createdAtMs: BigInt(run.createdAtMs),
    updatedAtMs: BigInt(run.updatedAtMs),
    startedAtMs: BigInt(run.startedAtMs),
    closedAtMs: BigInt(run.closedAtMs),
    availableAtMs: BigInt(run.availableAtMs),
    timeoutAtMs: BigInt(run.timeoutAtMs),
  };
}

/** A run in a list: without its payloads, and of its failure only what fits a line. */
export function runSummaryTo(run: RunView): Run {
  const { failure } = run;
  const short = failure && {
    type: failure.type,
    message: failure.message,
    nonRetryable: failure.nonRetryable ?? false,
  };
  return runTo({ ...run, input: undefined, output: undefined, failure: short });
}

/** About what a summary takes on the wire. */
export function runSummaryBytes(run: RunView): number {
  return 256 + utf8Length(run.runId) + utf8Length(run.runKey) + utf8Length(run.failure?.message ?? "");
}

const statusNames = new Map<number, StatusName>(
  Object.entries(RunStatus).map(([name, number]) => [number, name as StatusName]),
);

export function statusesFrom(wire: readonly RunStatus[]): StatusName[] {
  return wire.map((status, index) => {
    const name = statusNames.get(status);
    if (name === undefined || status === RunStatus.UNSPECIFIED) {
      throw invalid(`statuses[${index}]`, `is ${status}, which is no RunStatus`);
    }
    return name;
  });
}

const stepKinds = { function: StepKind.FUNCTION, sleep: StepKind.SLEEP, signal: StepKind.SIGNAL } as const;
const stepStatuses = {
  running: StepStatus.RUNNING,
  retrying: StepStatus.RETRYING,
  completed: StepStatus.COMPLETED,
  failed: StepStatus.FAILED,
  waiting: StepStatus.WAITING,
  cancelled: StepStatus.CANCELLED,
} as const;

export function stepTo(step: StepView): Step {
  return {
    $typeName: "everstep.v1.Step",
    stepKey: step.stepKey,
    kind: stepKinds[step.kind],
    status: stepStatuses[step.status],
    attempt: step.attempt,
    output: payloadTo(step.output),
    failure: failureTo(step.failure),
    startedAtMs: BigInt(step.startedAtMs),
    endedAtMs: BigInt(step.endedAtMs),
    retryAtMs: BigInt(step.retryAtMs),
    input: payloadTo(step.input),
  };
}

/** About what a step takes on the wire. */
export function stepBytes(step: StepView): number {
  const { failure } = step;
  const failureBytes = failure
    ? failure.message.length + (failure.stack?.length ?? 0) + payloadBytes(failure.details)
    : 0;
  return 64 + utf8Length(step.stepKey) + payloadBytes(step.input) + payloadBytes(step.output) + failureBytes;
}

/** A signal of a list, or, without `consumedBy`, an open one of an assignment or a notice. */
export function signalTo(signal: SignalInfo | SignalView): Signal {
  return {
    $typeName: "everstep.v1.Signal",
    signalId: BigInt(signal.seq),
    name: signal.name,
    payload: payloadTo(signal.payload),
    receivedAtMs: BigInt(signal.receivedAtMs),
    consumedBy: "consumedBy" in signal ? signal.consumedBy : "",
  };
}

export function signalBytes(signal: SignalInfo): number {
  return 64 + utf8Length(signal.name) + payloadBytes(signal.payload);
}

export function timerTo(timer: TimerInfo): Timer {
  return {
    $typeName: "everstep.v1.Timer",
    stepKey: timer.stepKey,
    kind: timer.kind === "sleep" ? TimerKind.SLEEP : TimerKind.WAIT_TIMEOUT,
    firesAtMs: BigInt(timer.firesAtMs),
  };
}
