import { type Client as ConnectClient, createClient, type Transport } from "@connectrpc/connect";
import {
  RunService,
  type ExplainRunResponse,
  type WaitRunResponse,
} from "../../../gen/ts/everstep/v1/run_service_pb.ts";
import type { Event } from "../../../gen/ts/everstep/v1/event_pb.ts";
import { type CallPorts, callWithRetry } from "./calls.ts";
import { encodePayload, jsonCodec, type PayloadCodec } from "./codec.ts";
import { type ConnectionOptions, openConnection } from "./connection.ts";
import { Outage } from "./outage.ts";
import { CancelledError, ResultTimeoutError, RunFailedError, RunTerminatedError } from "./errors.ts";
import { toError, toFailure } from "./failure.ts";
import { waitOverdueMs, waitPieceMs } from "./limits.ts";
import { type Clock, systemClock, systemNewId, systemRandom } from "./ports.ts";
import type {
  ListFilter,
  Resolution,
  ResultOptions,
  SignalRunOptions,
  StartOptions,
  WatchOptions,
} from "./client-options.ts";
import { RunHandle } from "./run-handle.ts";
import { isEnded, type RunInfo, statusNumber, toRunInfo } from "./run-info.ts";
import type { Workflow } from "./workflow.ts";

export interface ClientOptions extends ConnectionOptions {
  /** Default: EVERSTEP_NAMESPACE, else "default". */
  readonly namespace?: string | undefined;
  /** Default: JSON. */
  readonly codec?: PayloadCodec | undefined;
  /** Default: Connect over HTTP/2 to `address`. For tests. */
  readonly transport?: Transport | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
  readonly newId?: (() => string) | undefined;
}

/** Starts, watches and steers runs. Every call may be repeated and is, while the server cannot be reached. */
export class Client {
  readonly #rpc: ConnectClient<typeof RunService>;
  readonly #namespace: string;
  readonly #codec: PayloadCodec;
  readonly #ports: CallPorts;
  readonly #newId: () => string;
  readonly #close: () => void;
  #closed = false;

  constructor(options: ClientOptions = {}) {
    const connection =
      options.transport === undefined ? openConnection(options) : { transport: options.transport, close: () => {} };
    this.#rpc = createClient(RunService, connection.transport);
    this.#close = connection.close;
    this.#namespace = options.namespace ?? process.env.EVERSTEP_NAMESPACE ?? "";
    this.#codec = options.codec ?? jsonCodec;
    this.#ports = {
      clock: options.clock ?? systemClock,
      random: options.random ?? systemRandom,
      closed: () => this.#closed,
    };
    this.#newId = options.newId ?? systemNewId;
  }

  /** Ends the connection and every call on it. */
  close(): void {
    this.#closed = true;
    this.#close();
  }

  #call<T>(call: () => Promise<T>): Promise<T> {
    return callWithRetry(this.#ports, call);
  }

  /** Starts a run. With the same `runId` and `requestId` it returns the run that is there. */
  async start<Input, Output>(
    workflow: Workflow<Input, Output> | string,
    options: StartOptions<Input> = {},
  ): Promise<RunHandle<Output>> {
    const { priority, startDelayMs = 0, runTimeoutMs = 0 } = options;
    const input = encodePayload(this.#codec, options.input);
    const request = {
      namespace: this.#namespace,
      workflow: typeof workflow === "string" ? workflow : workflow.name,
      runId: options.runId ?? this.#newId(),
      runKey: options.runKey ?? "",
      queue: options.queue ?? "",
      startDelayMs: BigInt(Math.ceil(startDelayMs)),
      runTimeoutMs: BigInt(Math.ceil(runTimeoutMs)),
      requestId: options.requestId ?? this.#newId(),
      ...(input === undefined ? {} : { input }),
      ...(priority === undefined ? {} : { priority }),
    };
    const { run, alreadyStarted } = await this.#call(() => this.#rpc.startRun(request));
    return new RunHandle<Output>(this, run?.runId ?? request.runId, alreadyStarted);
  }

  /** A handle for a run that was started elsewhere; asks the server nothing. */
  handle<Output = unknown>(runId: string): RunHandle<Output> {
    return new RunHandle<Output>(this, runId, true);
  }

  async get(runId: string): Promise<RunInfo> {
    const { run } = await this.#call(() => this.#rpc.getRun(this.#ref(runId)));
    return toRunInfo(run, this.#codec);
  }

  /** All matching runs, newest first, without payloads; fetches pages as they are needed. */
  async *list(filter: ListFilter = {}): AsyncGenerator<RunInfo> {
    let pageToken = "";
    do {
      const request = {
        filter: {
          namespace: this.#namespace,
          workflow: filter.workflow ?? "",
          queue: filter.queue ?? "",
          runKey: filter.runKey ?? "",
          statuses: (filter.statuses ?? []).map(statusNumber),
        },
        pageSize: filter.pageSize ?? 0,
        pageToken,
      };
      const page = await this.#call(() => this.#rpc.listRuns(request));
      for (const run of page.runs) yield toRunInfo(run, this.#codec);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /**
   * Waits until the run has ended and returns its output. Throws RunFailedError with the failure and its causes,
   * CancelledError, RunTerminatedError, or ResultTimeoutError. Goes on over an outage of the server, for as long as
   * `timeoutMs` and `signal` allow; what the server refuses (RUN_NOT_FOUND, PERMISSION_DENIED) is thrown at once.
   */
  async result<Output = unknown>(runId: string, options: ResultOptions = {}): Promise<Output> {
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
    const { clock } = this.#ports;
    const endAtMs = clock.nowMs() + timeoutMs;
    const outage = new Outage(this.#ports, signal);
    for (;;) {
      const leftMs = Math.max(1, Math.ceil(endAtMs - clock.nowMs()));
      const answer = await this.#waitRun(runId, Math.min(waitPieceMs, leftMs), signal).catch((error: unknown) =>
        outage.outlast(error, leftMs),
      );
      if (answer !== undefined) {
        outage.ended();
        const info = toRunInfo(answer.run, this.#codec);
        if (isEnded(info.status)) return outputOf(info) as Output;
      }
      if (clock.nowMs() >= endAtMs) throw new ResultTimeoutError(runId, timeoutMs);
    }
  }

  #waitRun(runId: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<WaitRunResponse> {
    const request = { ...this.#ref(runId), timeoutMs: BigInt(timeoutMs) };
    return this.#rpc.waitRun(request, { timeoutMs: timeoutMs + waitOverdueMs, ...(signal && { signal }) });
  }

  /** Sends a message to an open run; returns its number. */
  async signal(runId: string, name: string, payload?: unknown, options: SignalRunOptions = {}): Promise<number> {
    const encoded = encodePayload(this.#codec, payload);
    const request = {
      ...this.#ref(runId),
      name,
      requestId: options.requestId ?? this.#newId(),
      ...(encoded === undefined ? {} : { payload: encoded }),
    };
    const { signalId } = await this.#call(() => this.#rpc.signalRun(request));
    return Number(signalId);
  }

  /** Asks a run to end; it ends CANCELLED at the latest when the grace (default 30 s) is over. */
  async cancel(runId: string, options: { reason?: string; graceMs?: number } = {}): Promise<RunInfo> {
    const request = { ...this.#ref(runId), ...reasonAndGrace(options) };
    return toRunInfo((await this.#call(() => this.#rpc.cancelRun(request))).run, this.#codec);
  }

  /** Ends a run at once, without asking the worker. */
  async terminate(runId: string, options: { reason?: string } = {}): Promise<RunInfo> {
    const request = { ...this.#ref(runId), reason: options.reason ?? "" };
    return toRunInfo((await this.#call(() => this.#rpc.terminateRun(request))).run, this.#codec);
  }

  /** Sets a run aside; a leased one finishes its running steps within the grace first. */
  async pause(runId: string, options: { reason?: string; graceMs?: number } = {}): Promise<RunInfo> {
    const request = { ...this.#ref(runId), ...reasonAndGrace(options) };
    return toRunInfo((await this.#call(() => this.#rpc.pauseRun(request))).run, this.#codec);
  }

  /** Lets a paused run go on; one paused for an uncertain effect needs a resolution. */
  async resume(runId: string, options: { resolution?: Resolution } = {}): Promise<RunInfo> {
    const resolution = this.#resolution(options.resolution);
    const request = { ...this.#ref(runId), ...(resolution === undefined ? {} : { resolution }) };
    return toRunInfo((await this.#call(() => this.#rpc.resumeRun(request))).run, this.#codec);
  }

  /** Opens a FAILED run again; only the steps whose failure ended it run again. */
  async retry(runId: string, options: { reason?: string; requestId?: string } = {}): Promise<RunInfo> {
    const requestId = options.requestId ?? this.#newId();
    const request = { ...this.#ref(runId), reason: options.reason ?? "", requestId };
    return toRunInfo((await this.#call(() => this.#rpc.retryRun(request))).run, this.#codec);
  }

  /** What a run waits for, in words (`text`) and as data. */
  explain(runId: string): Promise<ExplainRunResponse> {
    return this.#call(() => this.#rpc.explainRun(this.#ref(runId)));
  }

  /**
   * Every event of a run in order, past ones first; ends after the run has ended, and when `signal` fires. After a cut, and
   * over an outage of the server, it goes on behind the last event that was seen.
   */
  async *watch(runId: string, options: WatchOptions = {}): AsyncGenerator<Event> {
    const { signal } = options;
    let afterSeq = BigInt(options.afterSeq ?? 0);
    const outage = new Outage(this.#ports, signal);
    for (;;) {
      try {
        const request = { ...this.#ref(runId), afterSeq };
        for await (const { events } of this.#rpc.watchRun(request, signal === undefined ? {} : { signal })) {
          outage.ended();
          for (const event of events) {
            afterSeq = event.seq;
            yield event;
          }
        }
        return;
      } catch (error) {
        try {
          await outage.outlast(error);
        } catch (fatal) {
          if (signal?.aborted) return;
          throw fatal;
        }
      }
    }
  }

  #ref(runId: string): { namespace: string; runId: string } {
    return { namespace: this.#namespace, runId };
  }

  #resolution(resolution: Resolution | undefined) {
    if (resolution === undefined) return undefined;
    if (resolution === "repeat") return { verdict: { case: "repeat" as const, value: {} } };
    if ("fail" in resolution) return { verdict: { case: "fail" as const, value: toFailure(resolution.fail) } };
    const value = encodePayload(this.#codec, resolution.complete) ?? {};
    return { verdict: { case: "complete" as const, value } };
  }
}

function reasonAndGrace(options: { reason?: string; graceMs?: number }) {
  const grace = options.graceMs === undefined ? {} : { graceMs: BigInt(Math.ceil(options.graceMs)) };
  return { reason: options.reason ?? "", ...grace };
}

function outputOf(run: RunInfo): unknown {
  switch (run.status) {
    case "FAILED": {
      const failure = run.failure ?? { type: "Unknown", message: "", stack: "", nonRetryable: false, retryAfterMs: 0 };
      throw new RunFailedError(run.runId, failure, { cause: toError(failure) });
    }
    case "CANCELLED":
      throw new CancelledError(run.runId);
    case "TERMINATED":
      throw new RunTerminatedError(run.runId);
    default:
      return run.output;
  }
}
