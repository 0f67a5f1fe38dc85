// Everything that programs use of the Everstep SDK.
export { CallRefusedError } from "./calls.ts";
export { Client, type ClientOptions } from "./client.ts";
export type {
  ListFilter,
  Resolution,
  ResultOptions,
  SignalRunOptions,
  StartOptions,
  WatchOptions,
} from "./client-options.ts";
export { type EncodedPayload, jsonCodec, type PayloadCodec } from "./codec.ts";
export { type ConnectionOptions, createNodePorts } from "./connection.ts";
export type { SignalOptions, WorkflowContext } from "./context.ts";
export {
  AmbiguousStepKeyError,
  CancelledError,
  EverstepError,
  type FailureInfo,
  HistoryLimitError,
  InvalidArgumentError,
  LeaseLostError,
  NonDeterminismError,
  NonRetryableError,
  OpRefusedError,
  PayloadCodecError,
  PayloadTooLargeError,
  RemoteError,
  ResultTimeoutError,
  RetryAfterError,
  RunFailedError,
  RunTerminatedError,
  StepFailedError,
  StepTimeoutError,
} from "./errors.ts";
export type { Clock, FrameStream, Log, LogLevel, SessionPorts, StreamEvents, TimerHandle } from "./ports.ts";
export type { RetryOptions } from "./retry-options.ts";
export { RunHandle } from "./run-handle.ts";
export type { RunInfo, RunStatusName } from "./run-info.ts";
export type { SessionState } from "./session-options.ts";
export type { StepAttempt, StepFunction } from "./step-attempt.ts";
export type { StepOptions } from "./step-call.ts";
export { sdkVersion } from "./version.ts";
export { Worker, type WorkerHealth, type WorkerOptions } from "./worker.ts";
export { type AnyWorkflow, type Workflow, type WorkflowFunction, workflow } from "./workflow.ts";
