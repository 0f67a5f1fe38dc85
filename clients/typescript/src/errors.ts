// Errors of the SDK. `reason` names them for code, the message is for people.

/** A failure as data, without classes. */
export interface FailureInfo {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly details?: unknown;
  readonly cause?: FailureInfo;
  readonly nonRetryable: boolean;
  readonly retryAfterMs: number;
}

/** Base of every error that the SDK throws; `reason` is stable, the message is for people. */
export class EverstepError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.reason = reason;
  }
}

/** A step's attempts are exhausted. `cause` is the last attempt's error. */
export class StepFailedError extends EverstepError {
  readonly stepKey: string;
  readonly attempts: number;
  readonly failure: FailureInfo;
  constructor(stepKey: string, attempts: number, failure: FailureInfo, options?: ErrorOptions) {
    super("STEP_FAILED", `step ${quote(stepKey)} failed for good: ${failure.type}: ${failure.message}`, options);
    this.stepKey = stepKey;
    this.attempts = attempts;
    this.failure = failure;
  }
}

/** An attempt took longer than its `timeoutMs`; stored with type "StepTimeout". */
export class StepTimeoutError extends EverstepError {
  constructor(stepKey: string, timeoutMs: number) {
    super("STEP_TIMEOUT", `step ${quote(stepKey)} took longer than ${timeoutMs} ms`);
  }
}

/** What `client.result` throws for a FAILED run. `cause` is the error as the worker stored it. */
export class RunFailedError extends EverstepError {
  readonly runId: string;
  readonly failure: FailureInfo;
  constructor(runId: string, failure: FailureInfo, options?: ErrorOptions) {
    super("RUN_FAILED", `run ${quote(runId)} failed: ${failure.type}: ${failure.message}`, options);
    this.runId = runId;
    this.failure = failure;
  }
}

/** A cancel was requested: thrown by waits inside the workflow, and by `client.result` for a CANCELLED run. */
export class CancelledError extends EverstepError {
  readonly runId: string;
  constructor(runId: string, reason = "") {
    super("CANCELLED", `run ${quote(runId)} was cancelled${reason === "" ? "" : `: ${reason}`}`);
    this.runId = runId;
  }
}

/** What `client.result` throws for a TERMINATED run. */
export class RunTerminatedError extends EverstepError {
  constructor(runId: string) {
    super("RUN_TERMINATED", `run ${quote(runId)} was terminated`);
  }
}

/** `client.result` waited as long as it was told to; the run is still open. */
export class ResultTimeoutError extends EverstepError {
  constructor(runId: string, timeoutMs: number) {
    super("RESULT_TIMEOUT", `run ${quote(runId)} did not end within ${timeoutMs} ms`);
  }
}

/** The reason of the abort signals when this worker no longer holds the run: stop side effects, someone else goes on. */
export class LeaseLostError extends EverstepError {
  constructor(runId: string, why: string) {
    super("LEASE_LOST", `the lease of run ${quote(runId)} is gone: ${why}`);
  }
}

/** Throw it in a step to fail it at once, whatever its policy says. */
export class NonRetryableError extends EverstepError {
  readonly type: string;
  readonly details: unknown;
  constructor(message: string, options: { type?: string; details?: unknown; cause?: unknown } = {}) {
    super("NON_RETRYABLE", message, options.cause === undefined ? undefined : { cause: options.cause });
    this.type = options.type ?? "NonRetryableError";
    this.details = options.details;
  }
}

/** Throw it in a step to be tried again no earlier than after `retryAfterMs`. */
export class RetryAfterError extends EverstepError {
  readonly retryAfterMs: number;
  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super("RETRY_AFTER", message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The same key was used again while its first use had not finished: `#n` would depend on who comes first. */
export class AmbiguousStepKeyError extends EverstepError {
  constructor(stepKey: string) {
    super(
      "AMBIGUOUS_STEP_KEY",
      `step key ${quote(stepKey)} is used by two branches at the same time; give each branch its own key`,
    );
  }
}

/** The code asks for something else under a step key than its history holds. */
export class NonDeterminismError extends EverstepError {
  constructor(stepKey: string, asked: string, found: string) {
    super(
      "STEP_KIND_MISMATCH",
      `step key ${quote(stepKey)} is a ${asked} in the code and a ${found} in the history; was the workflow changed while the run was open?`,
    );
  }
}

/** A step key, signal name or delay that is not allowed. */
export class InvalidArgumentError extends EverstepError {
  constructor(message: string) {
    super("INVALID_ARGUMENT", message);
  }
}

/** A value is larger than the server takes. */
export class PayloadTooLargeError extends EverstepError {
  constructor(message: string) {
    super("PAYLOAD_TOO_LARGE", message);
  }
}

/** The codec could not encode or decode a value. */
export class PayloadCodecError extends EverstepError {
  constructor(message: string, options?: ErrorOptions) {
    super("PAYLOAD_CODEC", message, options);
  }
}

/** The server refused an op of this run; `reason` is the one that it gave. */
export class OpRefusedError extends EverstepError {
  readonly field: string;
  constructor(reason: string, message: string, field: string) {
    super(reason, `${reason}: ${message}${field === "" ? "" : ` (${field})`}`);
    this.field = field;
  }
}

/** The run's history is at the server's limit; the run fails with this. */
export class HistoryLimitError extends EverstepError {
  constructor(message: string) {
    super("HISTORY_LIMIT", message);
  }
}

/** An error that was stored and read back; `name` is the type that was stored. */
export class RemoteError extends EverstepError {
  readonly type: string;
  readonly details: unknown;
  constructor(type: string, message: string, details: unknown, options?: ErrorOptions) {
    super("REMOTE", message, options);
    this.name = type;
    this.type = type;
    this.details = details;
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}
