import type { DescFile } from "@bufbuild/protobuf";
import { Code, ConnectError, cors } from "@connectrpc/connect";
import type { Engine } from "../engine/api.ts";
import { type Log, silentLog } from "../engine/telemetry.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { WorkerService } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { file_google_rpc_error_details } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { Health } from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { createKeyRing } from "./auth.ts";
import { unauthenticated } from "./errors.ts";
import { createGuard, isLoopback } from "./guard.ts";
import { createHealthService } from "./health.ts";
import { type Request, type Response, replyError, replyJson } from "./http-reply.ts";
import { createRoutes } from "./http-routes.ts";
import { createEdge } from "./interceptor.ts";
import { createJsonApi } from "./json-api/routes.ts";
import { createLeaseService } from "./lease-service.ts";
import { serviceOf } from "./lean-calls.ts";
import { createListener, type Tls } from "./listener.ts";
import { createMetrics } from "./metrics.ts";
import { routeReflection } from "./reflection.ts";
import { createRpcHandler, type RpcRoutes } from "./rpc-handler.ts";
import { createRunService } from "./run-service.ts";
import { takeTurns } from "./turns.ts";
import { createWorkerService, routeLeanSession } from "./worker-service.ts";

// The engine on the wire: who may call, which path is whose, one port for all of it.

export interface ServerOptions {
  /** Address to listen on; the loopback interface unless told otherwise. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
  readonly tls?: Tls;
  /** Keys of which callers must show one. */
  readonly apiKeys?: readonly string[];
  /** Listen beyond the loopback interface without any key. */
  readonly insecureListen?: boolean;
  /** Origins of web pages that may call, for example "https://console.example.com". */
  readonly allowedOrigins?: readonly string[];
  readonly log?: Log;
}

export interface EverstepServer {
  listen(): Promise<{ url: string; host: string; port: number }>;
  /** Takes no more calls, lets those under way end for a while, then cuts them. The engine is left alone. */
  close(graceMs?: number): Promise<void>;
  /** Replaces the API keys: streams of keys that are gone end. */
  setApiKeys(keys: readonly string[]): void;
}

export const defaultHost = "127.0.0.1";
export const defaultPort = 7420;
const closeGraceMsDefault = 5_000;

export function createServer(engine: Engine, options: ServerOptions = {}): EverstepServer {
  const host = options.host ?? defaultHost;
  const log = options.log ?? silentLog;
  const keys = createKeyRing(options.apiKeys);
  if (!isLoopback(host) && !keys.required && options.insecureListen !== true) {
    throw new Error(
      `listening on ${host} lets others in: give an API key (--api-key), or say --insecure-listen if that is meant`,
    );
  }
  const guard = createGuard({
    listenHost: host,
    keyRequired: () => keys.required,
    allowedOrigins: options.allowedOrigins ?? [],
  });
  const metrics = createMetrics(engine);
  const rpcs = createRpcHandler(routesOf(engine), createEdge(log, metrics), log);

  /** Why a request shows no key that lets it in; undefined when it does, or when none is asked for. */
  function unauthorized(request: Request): string | undefined {
    if (!keys.required || keys.find(request.headers) !== undefined) return undefined;
    const shown = request.headers.authorization ?? request.headers["x-api-key"];
    return shown === undefined ? "an API key is needed: authorization: Bearer KEY" : "the API key is wrong";
  }

  /** The signal of the caller's key, "open" when none is asked for, undefined when the request was answered with 401. */
  function authenticate(request: Request, response: Response): AbortSignal | "open" | undefined {
    if (!keys.required) return "open";
    const signal = keys.find(request.headers);
    if (signal !== undefined) return signal;
    replyError(request, response, 401, unauthenticated(unauthorized(request) ?? ""));
    return undefined;
  }
  const jsonApi = createJsonApi({ engine, log, unauthorized });
  const paths = createRoutes({
    engine,
    metrics,
    authorized: (request, response) => authenticate(request, response) !== undefined,
  });

  function handle(request: Request, response: Response): void {
    const { origin } = request.headers;
    const refused = guard.refusal(hostOf(request), origin);
    if (refused !== undefined)
      return replyError(request, response, 403, new ConnectError(refused, Code.PermissionDenied));
    if (origin !== undefined && guard.allows(origin) && answersPreflight(request, response, origin)) return;
    const path = (request.url ?? "").split("?", 1)[0] as string;
    if (jsonApi.serves(path)) return jsonApi.handle(path, request, response);
    if (!rpcs.serves(path)) return paths(path, request, response);
    const signal = authenticate(request, response);
    if (signal !== undefined) rpcs.handle(path, request, response, signal === "open" ? undefined : signal);
  }

  const inTurn = takeTurns((request, response) => {
    try {
      handle(request, response);
    } catch (error) {
      log.warn({ err: error }, "a request could not be handled");
      replyJson(response, 400, { code: "invalid_argument", message: "this request cannot be understood" });
    }
  });

  const listener = createListener({
    tls: options.tls,
    handler(request, response) {
      response.on("error", () => {});
      inTurn(request, response);
    },
  });

  return {
    async listen() {
      const address = await listener.listen(options.port ?? defaultPort, host);
      const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
      const url = `${options.tls === undefined ? "http" : "https"}://${name}:${address.port}`;
      return { url, host: address.address, port: address.port };
    },
    close: (graceMs = closeGraceMsDefault) => listener.close(graceMs),
    setApiKeys: (next) => keys.setKeys(next),
  };
}

function routesOf(engine: Engine): RpcRoutes {
  const services = [RunService, LeaseService, WorkerService];
  const files: DescFile[] = [...services.map((service) => service.file), Health.file, file_google_rpc_error_details];
  return {
    engine,
    services: [
      serviceOf(RunService, createRunService(engine)),
      serviceOf(LeaseService, createLeaseService(engine)),
      serviceOf(WorkerService, createWorkerService(engine)),
    ],
    others(router) {
      router.service(
        Health,
        createHealthService(
          engine,
          services.map((service) => service.typeName),
        ),
      );
      routeReflection(router, files);
    },
    protobuf: (router) => routeLeanSession(router, engine),
  };
}

function hostOf(request: Request): string | undefined {
  return "authority" in request ? (request.authority ?? request.headers.host) : request.headers.host;
}

/** Lets pages of an allowed origin read the answer; true when the request was only the browser's question for that. */
function answersPreflight(request: Request, response: Response, origin: string): boolean {
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("vary", "origin");
  response.setHeader("access-control-expose-headers", cors.exposedHeaders.join(", "));
  if (request.method !== "OPTIONS") return false;
  response.setHeader("access-control-allow-methods", cors.allowedMethods.join(", "));
  response.setHeader("access-control-allow-headers", [...cors.allowedHeaders, "authorization", "x-api-key"].join(", "));
  response.setHeader("access-control-max-age", "7200");
  response.statusCode = 204;
  response.end();
  return true;
}
