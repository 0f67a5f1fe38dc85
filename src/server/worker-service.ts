import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Engine } from "../engine/api.ts";
import type { SessionRequest, SessionResponse, WorkerService } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { callSignal, cutLaterKey, revokedError } from "./call.ts";
import { sessionResponses } from "./convert/server-frame.ts";
import { createSessionPipe, type SessionWire } from "./session-pipe.ts";
import { leanResponses, leanSession, type LeanSessionRequest } from "./session-wire/lean-session.ts";

// The stream of a worker over Connect's handlers: those that are compressed, of JSON, gRPC-Web, or have a deadline. The
// others are served by lean-streams.ts. Two loops share one pipe: what is read goes in as it comes, what the engine has
// for the worker goes out as fast as the transport takes it.

export function createWorkerService(engine: Engine): ServiceImpl<typeof WorkerService> {
  return { session: (requests, context) => session(engine, messages, requests, context) };
}

/** Session where messages are protobuf. */
export function routeLeanSession(router: ConnectRouter, engine: Engine): void {
  router.rpc(leanSession, (requests, context) =>
    session(engine, encodedMessages, requests as AsyncIterable<LeanSessionRequest>, context),
  );
}

const messages: SessionWire<SessionRequest> = {
  read: (reader, { frame }) => reader.read(frame),
  responses: sessionResponses,
};
/** With ops and their results as bytes. */
export const encodedMessages: SessionWire<LeanSessionRequest> = {
  read: (reader, { frame }) => reader.readLean(frame),
  responses: leanResponses,
};

async function* session<Request>(
  engine: Engine,
  wire: SessionWire<Request>,
  requests: AsyncIterable<Request>,
  context: HandlerContext,
): AsyncGenerator<SessionResponse> {
  const signal = callSignal(context);
  const cutLater = context.values.get(cutLaterKey);
  let wake: () => void = () => {};
  const pipe = createSessionPipe(engine, wire, onReady);
  function onReady(): void {
    if (pipe.ended) cutLater();
    wake();
  }
  async function readAll(): Promise<void> {
    try {
      for await (const request of requests) {
        if (pipe.ended) return;
        pipe.read(request);
      }
    } catch (error) {
      return pipe.failed(error);
    }
    pipe.halfClosed();
  }

  signal.addEventListener("abort", pipe.stop, { once: true });
  try {
    if (signal.aborted) pipe.stop();
    void readAll();
    for (;;) {
      const responses = pipe.take();
      if (responses.length > 0) {
        yield* responses;
        if (pipe.ended) cutLater();
        continue;
      }
      if (pipe.ended) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    yield* pipe.lastWords();
    const revoked = revokedError(context);
    if (revoked !== undefined) throw revoked;
  } finally {
    signal.removeEventListener("abort", pipe.stop);
    pipe.stop();
  }
}
