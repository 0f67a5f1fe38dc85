import { constants, type ServerHttp2Stream } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type ContextValues, createContextValues } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import {
  assertByteStreamRequest,
  createAsyncIterable,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import type { Engine } from "../engine/api.ts";
import type { Log } from "../engine/telemetry.ts";
import { compressBytesMin, messageBytesMax, requestReadMsMax } from "../limits.ts";
import { cutLaterKey, keySignalKey } from "./call.ts";
import { createCutLater } from "./cut-later.ts";
import { gzip } from "./gzip.ts";
import type { Request, Response } from "./http-reply.ts";
import type { Edge } from "./interceptor.ts";
import { createLeanCalls, type Service } from "./lean-calls.ts";
import { createLeanStreams } from "./lean-streams.ts";
import { withReason } from "./unreadable.ts";
import { wholeFrames } from "./whole-frames.ts";

// RPCs over Node's servers: what connect-node's adapter does, and beside it the signal of the caller's key, and no
// words on the console when a client goes away in the middle.

export interface RpcHandler {
  /** True when the path is one of an RPC. */
  serves(path: string): boolean;
  handle(path: string, request: Request, response: Response, keySignal: AbortSignal | undefined): void;
}

/** A call whose key was revoked may take this long to say so. */
const revokedGraceMs = 500;

/** Read by Connect though not in the type of its options: a text that is no UTF-8 is refused instead of mended. */
const jsonOptions = { ignoreUnknownFields: true, textDecoder: new TextDecoder("utf-8", { fatal: true }) };

export interface RpcRoutes {
  readonly engine: Engine;
  /** Services with unary calls of ours. */
  readonly services: readonly Service[];
  readonly others: (router: ConnectRouter) => void;
  /** Those that are served by something else where the messages are protobuf and not JSON. */
  readonly protobuf: (router: ConnectRouter) => void;
}

export function createRpcHandler(routes: RpcRoutes, edge: Edge, log: Log): RpcHandler {
  function handlersOf(route: (router: ConnectRouter) => void) {
    const router = createConnectRouter({
      grpc: true,
      grpcWeb: true,
      connect: true,
      interceptors: [edge.interceptor],
      jsonOptions,
      readMaxBytes: messageBytesMax,
      // gzip only: brotli's default level takes seconds for a frame, and the client would choose it.
      acceptCompression: [gzip],
      compressMinBytes: compressBytesMin,
    });
    route(router);
    return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  }
  const handlers = handlersOf((router) => {
    for (const service of routes.services) service.route(router);
    routes.others(router);
  });
  const protobufHandlers = handlersOf(routes.protobuf);
  const leanCalls = createLeanCalls(routes.services, edge);
  const leanStreams = createLeanStreams(routes.engine, edge);

  return {
    serves: (path) => handlers.has(path),
    handle(path, request, response, keySignal) {
      const values = createContextValues();
      if (keySignal !== undefined) {
        values.set(keySignalKey, keySignal);
        cutWhenRevoked(response, keySignal);
      }
      const failed = (error: unknown) => {
        log.debug({ err: error, path }, "an answer could not be written");
        response.destroy();
      };
      if (leanStreams.handle(path, request, response, values)) return;
      const otherwise = (body: Uint8Array) => connects({ path, request, response, values, failed, body });
      if (!leanCalls.handle(path, { request, response, values, otherwise, failed }))
        connects({ path, request, response, values, failed, body: undefined });
    },
  };

  /** `body`: all that was sent, when it has been read. */
  function connects({ path, request, response, values, failed, body }: ConnectsCall): void {
    const isJson = request.headers["content-type"]?.toLowerCase().includes("json") === true;
    const handler = (isJson ? undefined : protobufHandlers.get(path)) ?? handlers.get(path);
    if (handler === undefined) throw new Error(`no RPC at ${path}`);
    const { methodKind } = handler.method;
    if ("stream" in request && (methodKind === "unary" || methodKind === "server_streaming"))
      boundReading(request, request.stream);
    if (methodKind === "bidi_streaming") values.set(cutLaterKey, createCutLater(response));
    const call: UniversalServerRequest = universalRequestFromNodeRequest(request, response, undefined, values);
    assertByteStreamRequest(call);
    handler({ ...call, body: bodyOf(call.body, methodKind, body) })
      .then(withReason)
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch(failed);
  }
}

interface ConnectsCall {
  readonly path: string;
  readonly request: Request;
  readonly response: Response;
  readonly values: ContextValues;
  readonly failed: (error: unknown) => void;
  readonly body: Uint8Array | undefined;
}

function bodyOf(sent: AsyncIterable<Uint8Array>, methodKind: DescMethod["methodKind"], body: Uint8Array | undefined) {
  if (body !== undefined) return createAsyncIterable([body]);
  return methodKind === "bidi_streaming" ? wholeFrames(sent) : sent;
}

/** Calls that listen to the signal end with a reason; this cuts those that wait for something else. */
function cutWhenRevoked(response: Response, keySignal: AbortSignal): void {
  const cut = () => setTimeout(() => response.destroy(), revokedGraceMs);
  keySignal.addEventListener("abort", cut, { once: true });
  response.once("close", () => keySignal.removeEventListener("abort", cut));
}

/** HTTP/1.1 has the same bound in its server. */
function boundReading(request: Request, stream: ServerHttp2Stream): void {
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), requestReadMsMax);
  const clear = () => clearTimeout(timer);
  request.once("end", clear);
  request.once("close", clear);
}
