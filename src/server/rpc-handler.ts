import { constants, type ServerHttp2Stream } from "node:http2";
import { type ConnectRouter, createConnectRouter, createContextValues, type Interceptor } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { assertByteStreamRequest, type UniversalServerRequest } from "@connectrpc/connect/protocol";
import type { Log } from "../engine/telemetry.ts";
import { messageBytesMax } from "../limits.ts";
import { keySignalKey } from "./call.ts";
import { gzip } from "./gzip.ts";
import type { Request, Response } from "./http-reply.ts";
import { withReason } from "./unreadable.ts";
import { wholeFrames } from "./whole-frames.ts";

// RPCs over Node's servers: what connect-node's adapter does, and beside it the signal of the caller's key, and no
// words on the console when a client goes away in the middle.

export interface RpcHandler {
  /** True when the path is one of an RPC. */
  serves(path: string): boolean;
  handle(path: string, request: Request, response: Response, keySignal: AbortSignal | undefined): void;
}

/** Below this size compressing costs more time than it saves, also on slow lines. */
const compressMinBytes = 32 * 1024;
/** A unary request must have been read whole within this time. */
const requestTimeoutMs = 60_000;
/** A call whose key was revoked may take this long to say so. */
const revokedGraceMs = 500;

/** Read by Connect though not in the type of its options: a text that is no UTF-8 is refused instead of mended. */
const jsonOptions = { ignoreUnknownFields: true, textDecoder: new TextDecoder("utf-8", { fatal: true }) };

export interface RpcRoutes {
  readonly all: (router: ConnectRouter) => void;
  /** Those that are served by something else where the messages are protobuf and not JSON. */
  readonly protobuf: (router: ConnectRouter) => void;
}

export function createRpcHandler(routes: RpcRoutes, interceptors: Interceptor[], log: Log): RpcHandler {
  function handlersOf(route: (router: ConnectRouter) => void) {
    const router = createConnectRouter({
      grpc: true,
      grpcWeb: true,
      connect: true,
      interceptors,
      jsonOptions,
      readMaxBytes: messageBytesMax,
      // gzip only: brotli's default level takes seconds for a frame, and the client would choose it.
      acceptCompression: [gzip],
      compressMinBytes,
    });
    route(router);
    return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  }
  const handlers = handlersOf(routes.all);
  const protobufHandlers = handlersOf(routes.protobuf);

  return {
    serves: (path) => handlers.has(path),
    handle(path, request, response, keySignal) {
      const isJson = request.headers["content-type"]?.toLowerCase().includes("json") === true;
      const handler = (isJson ? undefined : protobufHandlers.get(path)) ?? handlers.get(path);
      if (handler === undefined) throw new Error(`no RPC at ${path}`);
      const { methodKind } = handler.method;
      if ("stream" in request && (methodKind === "unary" || methodKind === "server_streaming"))
        boundReading(request, request.stream);
      const values = createContextValues();
      if (keySignal !== undefined) {
        values.set(keySignalKey, keySignal);
        cutWhenRevoked(response, keySignal);
      }
      const call: UniversalServerRequest = universalRequestFromNodeRequest(request, response, undefined, values);
      assertByteStreamRequest(call);
      handler(methodKind === "bidi_streaming" ? { ...call, body: wholeFrames(call.body) } : call)
        .then(withReason)
        .then((answer) => universalResponseToNodeResponse(answer, response))
        .catch((error: unknown) => {
          log.debug({ err: error, path }, "an answer could not be written");
          response.destroy();
        });
    },
  };
}

/** Calls that listen to the signal end with a reason; this cuts those that wait for something else. */
function cutWhenRevoked(response: Response, keySignal: AbortSignal): void {
  const cut = () => setTimeout(() => response.destroy(), revokedGraceMs);
  keySignal.addEventListener("abort", cut, { once: true });
  response.once("close", () => keySignal.removeEventListener("abort", cut));
}

/** HTTP/1.1 has the same bound in its server. */
function boundReading(request: Request, stream: ServerHttp2Stream): void {
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), requestTimeoutMs);
  const clear = () => clearTimeout(timer);
  request.once("end", clear);
  request.once("close", clear);
}
