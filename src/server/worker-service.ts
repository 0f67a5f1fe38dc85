import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { type Refusal, refuse } from "../core/errors.ts";
import type { Engine } from "../engine/api.ts";
import type { SessionRequest, SessionResponse, WorkerService } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { callSignal, revokedError } from "./call.ts";
import { sessionResponses } from "./convert/server-frame.ts";
import { unreadable } from "./unreadable.ts";
import { createFrameReader } from "./worker-frames.ts";

// The stream of a worker. Two loops share one engine handle: what is read goes in as it comes, what the engine has
// for the worker goes out as fast as the transport takes it. While the transport is full the engine's outbox fills,
// which is bounded and merges into larger frames.

/** Payload taken from the outbox at once: large enough for large frames, small enough to let beats through between. */
const takeBytesMax = 256 * 1024;

export function createWorkerService(engine: Engine): ServiceImpl<typeof WorkerService> {
  return { session: (requests, context) => session(engine, requests, context) };
}

async function* session(
  engine: Engine,
  requests: AsyncIterable<SessionRequest>,
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
          reader.read(request.frame);
        } catch (error) {
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
        yield* sessionResponses(frames);
        continue;
      }
      if (ended) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (lastWord !== undefined) yield* sessionResponses([{ kind: "frameRefused", refusal: lastWord }]);
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
