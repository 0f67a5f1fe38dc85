// The only file that touches time, chance and the event loop. Everything else gets them from here, so that a simulator
// can drive the same session loop under a virtual clock and network.
import { hostname } from "node:os";
import { uuidv7 } from "uuidv7";
import type { ServerFrame, WorkerFrame } from "../../../gen/ts/everstep/v1/worker_service_pb.ts";
import { timerMsMax } from "./limits.ts";

export interface TimerHandle {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds of a clock that never jumps. */
  nowMs(): number;
  setTimer(delayMs: number, fire: () => void): TimerHandle;
}

export interface StreamEvents {
  onFrame(frame: ServerFrame): void;
  /** The transport took everything that it was given. */
  onWritable(): void;
  /** Called once, with the error if there was one. Nothing follows. */
  onEnd(error: unknown): void;
}

/** One stream of a session. It dies with its connection; the session opens another. */
export interface FrameStream {
  /** Frames given earlier that still wait for the transport; `onWritable` follows when there is none any more. */
  readonly waitingFrames: number;
  send(frame: WorkerFrame): void;
  /** Half-close: the server ends its side when it has read everything. */
  finish(): void;
  /** Ends both directions now; no event follows. */
  abort(): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

export interface SessionPorts {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A name that nobody else has. */
  readonly newId: () => string;
  /** Runs when all work of this turn is done, microtasks included. */
  readonly defer: (run: () => void) => void;
  openStream(events: StreamEvents): FrameStream;
  /** True for an error that waiting does not heal, such as a wrong key. */
  isPermanent(error: unknown): boolean;
  /** Throws the connection away, so that the next stream gets a new one. */
  renewTransport(): void;
  /** Closes the connection for good. */
  close(): void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  setTimer(delayMs, fire) {
    let timer: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      const pieceMs = Math.min(Math.max(leftMs, 0), timerMsMax);
      timer = setTimeout(() => (leftMs > pieceMs ? arm(leftMs - pieceMs) : fire()), pieceMs);
    };
    arm(delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export const systemRandom = (): number => Math.random();

/** UUIDv7: unique, and in order of time, which keeps the server's index of run ids dense. */
export const systemNewId = (): string => uuidv7();

export const systemDefer = (run: () => void): void => void setImmediate(run);

/** A name for people: where to look when a worker misbehaves. */
export const systemIdentity = (): string => `${hostname()}/${process.pid}`;

export const stderrLog: Log = (level, message, fields) => {
  if (level === "debug" || level === "info") return;
  process.stderr.write(`everstep ${level}: ${message}${fields === undefined ? "" : ` ${JSON.stringify(fields)}`}\n`);
};
