import { PauseReason, type Run, RunStatus } from "../../../gen/ts/everstep/v1/run_pb.ts";
import { decodePayload, type PayloadCodec } from "./codec.ts";
import { enumName } from "./enum-name.ts";
import { EverstepError, type FailureInfo } from "./errors.ts";
import { toFailureInfo } from "./failure.ts";

/** The state of a run; the last four are final. */
export type RunStatusName = Exclude<keyof typeof RunStatus, "UNSPECIFIED">;

/** A run as data, payloads decoded. */
export interface RunInfo {
  readonly namespace: string;
  readonly runId: string;
  readonly workflow: string;
  readonly queue: string;
  readonly runKey: string;
  readonly status: RunStatusName;
  /** Set while PAUSED. */
  readonly pauseReason: string | undefined;
  readonly cancelRequested: boolean;
  readonly input: unknown;
  readonly output: unknown;
  readonly failure: FailureInfo | undefined;
  readonly priority: number;
  readonly version: number;
  readonly stepsCompleted: number;
  readonly lastSeq: number;
  readonly epoch: number;
  /** Who holds the lease; empty if nobody does. */
  readonly workerId: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly startedAt: Date | undefined;
  readonly closedAt: Date | undefined;
}

export function toRunInfo(run: Run | undefined, codec: PayloadCodec): RunInfo {
  if (run === undefined) throw new EverstepError("INTERNAL", "the server answered without a run");
  return {
    namespace: run.namespace,
    runId: run.runId,
    workflow: run.workflow,
    queue: run.queue,
    runKey: run.runKey,
    status: enumName(RunStatus, run.status) as RunStatusName,
    pauseReason: run.pauseReason === PauseReason.UNSPECIFIED ? undefined : enumName(PauseReason, run.pauseReason),
    cancelRequested: run.cancelRequested,
    input: decodePayload(codec, run.input),
    output: decodePayload(codec, run.output),
    failure: run.failure === undefined ? undefined : toFailureInfo(run.failure),
    priority: run.priority,
    version: Number(run.version),
    stepsCompleted: Number(run.stepsCompleted),
    lastSeq: Number(run.lastSeq),
    epoch: Number(run.epoch),
    workerId: run.workerId,
    createdAt: new Date(Number(run.createdAtMs)),
    updatedAt: new Date(Number(run.updatedAtMs)),
    startedAt: instant(run.startedAtMs),
    closedAt: instant(run.closedAtMs),
  };
}

export function isEnded(status: RunStatusName): boolean {
  return status === "COMPLETED" || status === "FAILED" || status === "CANCELLED" || status === "TERMINATED";
}

export function statusNumber(name: RunStatusName): RunStatus {
  return RunStatus[name];
}

function instant(atMs: bigint): Date | undefined {
  return atMs === 0n ? undefined : new Date(Number(atMs));
}
