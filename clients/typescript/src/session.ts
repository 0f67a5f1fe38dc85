// The session of a worker: one stream at a time, opened again for ever. Leases and their handlers outlive a stream;
// after a cut Hello lists what is held, Welcome says what became of it, and everything without a result is sent again.
import { ErrorReason } from "../../../gen/ts/everstep/v1/error_reason_pb.ts";
import {
  type Assign,
  type FrameRefused,
  type GoAway,
  GoAwayReason,
  type Resume,
  type ServerFrame,
  type SessionSettings,
  type Welcome,
} from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { PayloadCodec } from "./codec.ts";
import { enumName } from "./enum-name.ts";
import * as frames from "./frames.ts";
import type { LeaseRun } from "./lease-run.ts";
import { Leases } from "./leases.ts";
import { goodbyeTimeoutMs, payloadBytesMaxDefault, unknownWorkflowRetryMs } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import { bounded } from "./pause.ts";
import type { FrameStream, Log, SessionPorts, TimerHandle } from "./ports.ts";
import { Pulse, watchdogMs } from "./pulse.ts";
import { Reconnect } from "./reconnect.ts";
import type { RunHost } from "./run-host.ts";
import { Sender } from "./sender.ts";
import type { SessionOptions, SessionState } from "./session-options.ts";

export class Session implements RunHost {
  readonly ports: SessionPorts;
  readonly codec: PayloadCodec;
  readonly log: Log;
  readonly outbox: Outbox;
  readonly #options: SessionOptions;
  readonly #sender: Sender;
  readonly #leases: Leases;
  readonly #pulse: Pulse;
  readonly #comeback: Reconnect;
  #stream: FrameStream | undefined;
  #welcomed = false;
  #draining = false;
  #drainAcked = false;
  #closed = false;
  #capacity: number;
  /** What the last Hello said. */
  #helloCapacity = 0;
  #resume: Resume | undefined;
  #settings: SessionSettings | undefined;
  #lastError: string | undefined;
  #reconnect: TimerHandle | undefined;
  #emptied: (() => void) | undefined;
  #streamEnded: (() => void) | undefined;

  constructor(ports: SessionPorts, options: SessionOptions) {
    this.ports = ports;
    this.#options = options;
    this.codec = options.codec;
    this.log = options.log;
    this.#capacity = options.capacity;
    this.#sender = new Sender(ports.defer);
    this.outbox = this.#sender.outbox;
    this.#leases = new Leases(this);
    this.#comeback = new Reconnect(ports);
    this.#pulse = new Pulse(ports.clock, {
      beat: (beatSeq) => this.#stream?.send(frames.beatFrame(beatSeq, this.#leases.beat(BigInt(beatSeq)))),
      silent: (timeoutMs) => this.#ended(new Error(`nothing was heard for ${timeoutMs} ms`)),
    });
  }

  get payloadBytesMax(): number {
    return this.#settings?.payloadBytesMax ? Number(this.#settings.payloadBytesMax) : payloadBytesMaxDefault;
  }

  get state(): SessionState {
    if (this.#closed) return "closed";
    if (this.#draining) return "draining";
    if (this.#welcomed) return "active";
    if (this.#stream !== undefined) return "connecting";
    return this.#reconnect === undefined ? "idle" : "waiting";
  }

  get connected(): boolean {
    return this.#welcomed;
  }

  get held(): number {
    return this.#leases.size;
  }

  get capacity(): number {
    return this.#capacity;
  }

  get sessionId(): string {
    return this.#resume?.sessionId ?? "";
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  start(): void {
    if (this.#stream === undefined && this.#reconnect === undefined && !this.#closed) this.#connect();
  }

  setCapacity(capacity: number): void {
    this.#capacity = capacity;
    if (this.#welcomed && !this.#draining) this.#stream?.send(frames.capacityFrame(capacity));
  }

  /** Takes no more work; resolves when nothing is held, at the latest when `timeoutMs` is over, after a goodbye. */
  async drain(timeoutMs: number): Promise<void> {
    if (this.#closed) return;
    if (!this.#draining) {
      this.#draining = true;
      if (this.#welcomed) this.#stream?.send(frames.drainFrame());
    }
    for (const run of this.#leases.all()) run.giveBack();
    await bounded(this.ports.clock, timeoutMs, (done) => {
      this.#emptied = done;
      this.#checkDrained();
    });
    for (const run of this.#leases.all()) run.stop();
    this.#sender.flush();
    const stream = this.#stream;
    if (stream !== undefined && this.#welcomed && !this.#closed) {
      await bounded(this.ports.clock, goodbyeTimeoutMs, (done) => {
        this.#streamEnded = done;
        stream.send(frames.goodbyeFrame());
        stream.finish();
      });
    }
    this.close();
  }

  /** Ends at once, without a goodbye: what is held goes on elsewhere when its leases end. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dropStream();
    this.#reconnect?.cancel();
    for (const run of this.#leases.all()) run.lost("the worker was closed");
    this.#leases.close();
    this.#emptied?.();
    this.ports.close();
  }

  release(run: LeaseRun, retryAfterMs: number): void {
    if (run.assignment.lease !== undefined) this.#sender.release(run.assignment.lease, retryAfterMs);
  }

  ended(run: LeaseRun): void {
    this.#leases.remove(run);
    if (this.#draining) this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#leases.size > 0 || (this.#welcomed && !this.#drainAcked)) return;
    this.#emptied?.();
  }

  #connect(): void {
    this.#reconnect = undefined;
    let stream: FrameStream | undefined;
    let early: { error: unknown } | undefined;
    stream = this.ports.openStream({
      onFrame: (frame) => {
        if (stream === this.#stream) this.#receive(frame);
      },
      onWritable: () => {
        if (stream === this.#stream && !this.#sender.idle) this.#sender.plan();
      },
      onEnd: (error) => {
        if (stream === undefined) early = { error };
        else if (stream === this.#stream) this.#ended(error);
      },
    });
    this.#stream = stream;
    if (early !== undefined) return this.#ended(early.error);
    this.#pulse.opened();
    const { instanceId, identity, sdk, buildId, namespace, queues, bodies } = this.#options;
    this.#helloCapacity = this.#draining ? 0 : this.#capacity;
    stream.send(
      frames.helloFrame({
        workerInstanceId: instanceId,
        identity,
        sdk,
        buildId,
        namespace,
        queues: [...queues],
        workflows: [...bodies.keys()],
        capacity: this.#helloCapacity,
        resume: this.#resume,
        held: this.#leases.held(),
      }),
    );
  }

  #receive(frame: ServerFrame): void {
    this.#pulse.heard();
    const { case: kind, value } = frame.frame;
    switch (kind) {
      case "opResults":
        return this.#leases.settle(value);
      case "assign":
        return this.#assigned(value);
      case "journalChunk":
        return this.#leases.chunk(value);
      case "notices":
        return this.#leases.notice(value.notices);
      case "beatAck":
        return this.#leases.beatAcked(value.beatSeq, value.lost);
      case "revoke":
        return this.#leases.lost(value.leases);
      case "welcome":
        return this.#welcome(value);
      case "drainAck":
        this.#drainAcked = true;
        return this.#checkDrained();
      case "goAway":
        return this.#toldToGo(value);
      case "ping":
        return this.#stream?.send(frames.pongFrame(value.nonce));
      case "frameRefused":
        return this.#frameRefused(value);
      default:
        return; // of a later version
    }
  }

  #welcome(welcome: Welcome): void {
    this.#welcomed = true;
    this.#comeback.succeeded();
    this.#lastError = undefined;
    this.#resume = {
      $typeName: "everstep.v1.Resume",
      sessionId: welcome.sessionId,
      resumeToken: welcome.resumeToken,
    };
    this.#settings = welcome.settings;
    if (welcome.settings?.frameOpsMax) this.#sender.frameOpsMax = welcome.settings.frameOpsMax;
    this.#leases.trustMs = watchdogMs(welcome.settings);
    this.#sender.outbox.clear();
    this.#sender.attach(this.#stream);
    this.#leases.judge(welcome.verdicts);
    this.#pulse.welcomed(welcome.settings);
    if (this.#draining) this.#stream?.send(frames.drainFrame());
    else if (this.#capacity !== this.#helloCapacity) this.#stream?.send(frames.capacityFrame(this.#capacity));
  }

  #assigned(assign: Assign): void {
    for (const assignment of assign.assignments) {
      if (assignment.lease === undefined) continue;
      const body = this.#options.bodies.get(assignment.workflow);
      if (body === undefined || this.#draining) {
        if (body === undefined) this.log("error", `assigned a workflow that is not here: ${assignment.workflow}`);
        this.#sender.release(assignment.lease, body === undefined ? unknownWorkflowRetryMs : 0);
        continue;
      }
      this.#sender.accept(assignment.lease);
      this.#leases.add(assignment, body);
    }
  }

  #toldToGo(goAway: GoAway): void {
    this.#comeback.told(goAway);
    this.log("info", `the server ends the stream (${enumName(GoAwayReason, goAway.reason)}): ${goAway.message}`);
  }

  #frameRefused(refused: FrameRefused): void {
    const reason = enumName(ErrorReason, refused.reason);
    this.log("error", `a frame was refused: ${reason}: ${refused.message} (${refused.field})`);
    if (refused.reason === ErrorReason.SESSION_UNKNOWN) this.#resume = undefined;
    this.#ended(new Error(`${reason}: ${refused.message}`), slowReasons.has(refused.reason));
  }

  /** The stream is over, whoever ended it. */
  #ended(error: unknown, slow = this.ports.isPermanent(error)): void {
    this.#dropStream();
    if (this.#closed) return;
    if (this.#streamEnded !== undefined) return this.#streamEnded(); // goodbye was said
    this.#leases.dropIncomplete();
    if (error !== undefined) this.#lastError = error instanceof Error ? error.message : String(error);
    const delayMs = this.#comeback.nextDelayMs(slow);
    this.log(slow ? "error" : "warn", "the stream ended", { error: this.#lastError, reconnectMs: Math.round(delayMs) });
    this.#reconnect = this.ports.clock.setTimer(delayMs, () => this.#connect());
    if (this.#draining) this.#checkDrained();
  }

  #dropStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#welcomed = false;
    this.#pulse.stop();
    this.#sender.attach(undefined);
    stream?.abort();
  }
}

/** Waiting does not heal these. */
const slowReasons: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.UNAUTHENTICATED,
  ErrorReason.VERSION_UNSUPPORTED,
  ErrorReason.INVALID,
  ErrorReason.PROTOCOL,
]);
