import { Code, ConnectError, type ConnectRouter, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { type Refusal, refuse } from "../core/errors.ts";
import type { Engine } from "../engine/api.ts";
import type { ServerFrame } from "../engine/frames.ts";
import type { SessionRequest, SessionResponse, WorkerService } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { callSignal, revokedError } from "./call.ts";
import { sessionResponses } from "./convert/server-frame.ts";
import { leanResponses, leanSession, type LeanSessionRequest } from "./session-wire/lean-session.ts";
import { unreadable } from "./unreadable.ts";
import { createFrameReader, type FrameReader } from "./worker-frames.ts";

// The stream of a worker. Two loops share one engine handle: what is read goes in as it comes, what the engine has
// for the worker goes out as fast as the transport takes it. While the transport is full the engine's outbox fills,
// which is bounded and merges into larger frames.

/** Payload taken from the outbox at once: large enough for large frames, small enough to let beats through between. */
const takeBytesMax = 256 * 1024;

export function createWorkerService(engine: Engine): ServiceImpl<typeof WorkerService> {
  return { session: (requests, context) => session(engine, messages, requests, context) };
}

/** Session where messages are protobuf. */
export function routeLeanSession(router: ConnectRouter, engine: Engine): void {
  router.rpc(leanSession, (requests, context) =>
    session(engine, encoded, requests as AsyncIterable<LeanSessionRequest>, context),
  );
}

/** What the requests of a session are, and what its responses. */
interface Wire<Request> {
  read(reader: FrameReader, request: Request): void;
  responses(frames: readonly ServerFrame[]): SessionResponse[];
}
const messages: Wire<SessionRequest> = {
  read: (reader, { frame }) => reader.read(frame),
  responses: sessionResponses,
};
const encoded: Wire<LeanSessionRequest> = {
  read: (reader, { frame }) => reader.readLean(frame),
  responses: leanResponses,
};

async function* session<Request>(
  engine: Engine,
  wire: Wire<Request>,
  requests: AsyncIterable<Request>,
  context: HandlerContext,
): AsyncGenerator<SessionResponse> {
  const signal = callSignal(context);
  let wake: () => void = () => {};
  let ended = false;
  /** Why nothing can follow: told as the last frame. */
  let lastWord: Refusal | undefined;
  let bug: { readonly error: unknown } | undefined;
  const handle = engine.openSession({
    wake: () => wake(),
    end() {
      ended = true;
      wake();
    },
  });
  function stop(): void {
    handle.closed();
    ended = true;
    wake();
  }
  const reader = createFrameReader(handle, {
    payloadBytesMax: engine.settings.payloadBytesMax,
    onBadHello(refusal) {
      lastWord = refusal;
      stop();
    },
  });
  async function readAll(): Promise<void> {
    try {
      for await (const request of requests) {
        if (ended) return;
        try {
          wire.read(reader, request);
        } catch (error) {
          if (error instanceof ConnectError) throw error;
          bug = { error };
          return stop();
        }
      }
    } catch (error) {
      // The transport failed: to the engine that is a stream that is gone. So it is behind a frame that cannot be
      // read, because nobody can say what it asked for; but then its sender is there to be told.
      lastWord = error instanceof ConnectError ? unreadableFrame(error) : undefined;
      return stop();
    }
    // After Goodbye the engine ends the stream itself, behind the last answers.
    if (!reader.saidGoodbye && !ended) handle.halfClosed();
  }

  signal.addEventListener("abort", stop, { once: true });
  try {
    if (signal.aborted) stop();
    void readAll();
    for (;;) {
      const frames = handle.take(takeBytesMax);
      if (frames.length > 0) {
        yield* wire.responses(frames);
        continue;
      }
      if (ended) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (lastWord !== undefined) yield* wire.responses([{ kind: "frameRefused", refusal: lastWord }]);
    const revoked = revokedError(context);
    if (revoked !== undefined) throw revoked;
    if (bug !== undefined) throw bug.error;
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

function unreadableFrame(error: ConnectError): Refusal | undefined {
  // A unary call of an unknown compression keeps UNIMPLEMENTED, as gRPC has it; a session has only words of its own.
  if (error.code === Code.Unimplemented) return refuse("PROTOCOL", error.rawMessage.slice(0, 200), { field: "frame" });
  const refusal = unreadable(error);
  if (refusal === undefined) return undefined;
  return { ...refusal, reason: refusal.reason === "INVALID" ? "PROTOCOL" : refusal.reason, field: "frame" };
}
