import type { RunStatusName } from "./run-info.ts";

export interface StartOptions<Input = unknown> {
  readonly input?: Input | undefined;
  /** Chosen by the caller to make starts idempotent over processes; default: a new UUIDv7. */
  readonly runId?: string | undefined;
  /** Business key: at most one open run for it. */
  readonly runKey?: string | undefined;
  readonly queue?: string | undefined;
  /** 0 (most urgent) to 9; default 5. */
  readonly priority?: number | undefined;
  readonly startDelayMs?: number | undefined;
  readonly runTimeoutMs?: number | undefined;
  /** The same request has one effect; default: a new one, kept over the retries of this call. */
  readonly requestId?: string | undefined;
}

export interface SignalRunOptions {
  readonly requestId?: string | undefined;
}

export interface ResultOptions {
  /** Throws ResultTimeoutError after this time; default: waits for ever. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ListFilter {
  readonly workflow?: string | undefined;
  readonly queue?: string | undefined;
  readonly statuses?: readonly RunStatusName[] | undefined;
  readonly runKey?: string | undefined;
  /** Runs fetched at a time; default 100. */
  readonly pageSize?: number | undefined;
}

export interface WatchOptions {
  /** Only events with a higher seq; default 0: the whole history first. */
  readonly afterSeq?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What became of a step whose effect is uncertain. */
export type Resolution = "repeat" | { readonly complete: unknown } | { readonly fail: unknown };
