import type { Engine } from "../engine/api.ts";
import { notReadyReason } from "./health.ts";
import { type Request, type Response, reply, replyJson } from "./http-reply.ts";
import { openapi } from "./json-api/openapi.ts";
import type { Metrics } from "./metrics.ts";
import { version } from "../version.ts";

// The few paths that are no RPCs: for probes, Prometheus and the curious.

export type Routes = (path: string, request: Request, response: Response) => void;

export interface RouteOptions {
  readonly engine: Engine;
  readonly metrics: Metrics;
  /** Answers with 401 and returns false when the request must show a key and does not. */
  readonly authorized: (request: Request, response: Response) => boolean;
}

const text = "text/plain; charset=utf-8";
const banner = `Everstep ${version}
gRPC, gRPC-Web and Connect on this port: everstep.v1.RunService, WorkerService, LeaseService.
Try: buf curl --http2-prior-knowledge http://HOST:PORT/everstep.v1.RunService/ListRuns -d '{}'
Also: /healthz /readyz /metrics, and a JSON API for curl: /openapi.json
`;
const paths: ReadonlySet<string> = new Set(["/", "/healthz", "/readyz", "/metrics", "/openapi.json"]);

/** In the words of Connect and of the seed's interface: nobody knows which one the caller meant. */
function unimplemented(message: string): Record<string, string> {
  return { code: "unimplemented", message, error: message };
}

export function createRoutes({ engine, metrics, authorized }: RouteOptions): Routes {
  async function serveMetrics(response: Response): Promise<void> {
    try {
      reply(response, 200, metrics.contentType, await metrics.text());
    } catch {
      reply(response, 500, text, "the metrics could not be read\n");
    }
  }

  return (path, request, response) => {
    if (!paths.has(path)) return replyJson(response, 404, unimplemented("there is nothing at this path"));
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return replyJson(response, 405, unimplemented("only GET is served at this path"));
    }
    if (path === "/metrics") {
      if (authorized(request, response)) void serveMetrics(response);
      return;
    }
    if (path === "/") return reply(response, 200, text, banner);
    if (path === "/openapi.json") return replyJson(response, 200, openapi);
    if (path === "/healthz") {
      const alive = engine.status().writer !== "stopped";
      return reply(response, alive ? 200 : 503, text, alive ? "ok\n" : "the store has failed\n");
    }
    const reason = notReadyReason(engine);
    if (reason === undefined) return replyJson(response, 200, { ready: true });
    replyJson(response, 503, { ready: false, reason });
  };
}
