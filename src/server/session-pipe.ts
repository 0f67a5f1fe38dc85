import { Code, ConnectError } from "@connectrpc/connect";
import { type Refusal, refuse } from "../core/errors.ts";
import type { Engine } from "../engine/api.ts";
import type { ServerFrame } from "../engine/frames.ts";
import type { SessionResponse } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { unreadable } from "./unreadable.ts";
import { createFrameReader, type FrameReader } from "./worker-frames.ts";

// A worker's stream without its transport: messages that came go in, messages for the worker are taken out. While the
// transport is full nothing is taken and the engine's outbox fills, which is bounded and merges into larger frames.

/** Payload taken from the outbox at once: large enough for large frames, small enough to let beats through between. */
const takeBytesMax = 256 * 1024;

/** What the requests of a session are, and what its responses. */
export interface SessionWire<Request> {
  read(reader: FrameReader, request: Request): void;
  responses(frames: readonly ServerFrame[]): SessionResponse[];
}

export interface SessionPipe<Request> {
  read(request: Request): void;
  /** The worker said its last word: what it sent is still answered. */
  halfClosed(): void;
  /** Nothing more can be read; a ConnectError is told to the worker, if it can hear. */
  failed(error: unknown): void;
  /** The caller is gone, or may not go on. */
  stop(): void;
  /** What there is for the worker now; empty when there is nothing. */
  take(): SessionResponse[];
  /** Nothing will follow behind what take() still gives, but `lastWords`. */
  readonly ended: boolean;
  /** Told behind everything else. Throws what was a bug of ours. */
  lastWords(): SessionResponse[];
}

/** `onReady`: there is something to take, or it has ended. Called from within the engine: take later. */
export function createSessionPipe<Request>(
  engine: Engine,
  wire: SessionWire<Request>,
  onReady: () => void,
): SessionPipe<Request> {
  let ended = false;
  /** Why nothing can follow: told as the last frame. */
  let lastWord: Refusal | undefined;
  let bug: { readonly error: unknown } | undefined;
  const handle = engine.openSession({
    wake: onReady,
    end() {
      ended = true;
      onReady();
    },
  });
  function stop(): void {
    handle.closed();
    ended = true;
    onReady();
  }
  const reader = createFrameReader(handle, {
    payloadBytesMax: engine.settings.payloadBytesMax,
    onBadHello(refusal) {
      lastWord = refusal;
      stop();
    },
  });
  function failed(error: unknown): void {
    // The transport failed: to the engine that is a stream that is gone. So it is behind a frame that cannot be
    // read, because nobody can say what it asked for; but then its sender is there to be told.
    lastWord = error instanceof ConnectError ? unreadableFrame(error) : undefined;
    stop();
  }
  return {
    read(request) {
      if (ended) return;
      try {
        wire.read(reader, request);
      } catch (error) {
        if (error instanceof ConnectError) return failed(error);
        bug = { error };
        stop();
      }
    },
    halfClosed() {
      // After Goodbye the engine ends the stream itself, behind the last answers.
      if (!reader.saidGoodbye && !ended) handle.halfClosed();
    },
    failed,
    stop,
    take() {
      const frames = handle.take(takeBytesMax);
      return frames.length === 0 ? [] : wire.responses(frames);
    },
    get ended() {
      return ended;
    },
    lastWords() {
      if (bug !== undefined) throw bug.error;
      return lastWord === undefined ? [] : wire.responses([{ kind: "frameRefused", refusal: lastWord }]);
    },
  };
}

function unreadableFrame(error: ConnectError): Refusal | undefined {
  // A unary call of an unknown compression keeps UNIMPLEMENTED, as gRPC has it; a session has only words of its own.
  if (error.code === Code.Unimplemented) return refuse("PROTOCOL", error.rawMessage.slice(0, 200), { field: "frame" });
  const refusal = unreadable(error);
  if (refusal === undefined) return undefined;
  return { ...refusal, reason: refusal.reason === "INVALID" ? "PROTOCOL" : refusal.reason, field: "frame" };
}
