import { refuse } from "../../core/errors.ts";
import type { Engine } from "../../engine/api.ts";
import type { Log } from "../../engine/telemetry.ts";
import { type Request, type Response, replyJson } from "../http-reply.ts";
import { checkRunId } from "../validate.ts";
import { refusalOf, statusOf, textOf } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { acquireLease, releaseLease, renewLease } from "./leases.ts";
import { averageStepDuration, listByStatus } from "./observability.ts";
import { consumeSignal, createTimer, listEvents, listSignals, sendSignal } from "./signals.ts";
import { completeStep, failStep, listSteps, scheduleRetry, startStep } from "./steps.ts";
import { completeWorkflow, createWorkflow, failWorkflow, getWorkflow, markWaiting } from "./workflows.ts";

// The HTTP interface of the seed: its 23 endpoints over the same engine commands as the RPCs. Nothing is decided here.

type Handler = (exchange: Exchange) => Promise<void>;

/** {id} stands for one path segment, percent-encoded. */
export const endpoints: readonly (readonly [method: "GET" | "POST", path: string, handler: Handler])[] = [
  ["POST", "/workflows", createWorkflow],
  ["GET", "/workflows/{id}", getWorkflow],
  ["POST", "/workflows/{id}/complete", completeWorkflow],
  ["POST", "/workflows/{id}/fail", failWorkflow],
  ["POST", "/workflows/{id}/waiting", markWaiting],
  ["POST", "/leases/acquire", acquireLease],
  ["POST", "/leases/{id}/renew", renewLease],
  ["POST", "/leases/{id}/release", releaseLease],
  ["POST", "/steps/start", startStep],
  ["POST", "/steps/complete", completeStep],
  ["POST", "/steps/fail", failStep],
  ["GET", "/steps/{id}", listSteps],
  ["POST", "/signals", sendSignal],
  ["POST", "/signals/{id}/consume", consumeSignal],
  ["GET", "/signals/{id}", listSignals],
  ["POST", "/timers", createTimer],
  ["POST", "/retry", scheduleRetry],
  ["GET", "/events/{id}", listEvents],
  ["GET", "/observability/failed", listByStatus("FAILED")],
  ["GET", "/observability/running", listByStatus("RUNNING")],
  ["GET", "/observability/queued", listByStatus("QUEUED")],
  ["GET", "/observability/waiting", listByStatus("WAITING")],
  ["GET", "/observability/avg-step-duration", averageStepDuration],
];

const patterns = endpoints.map(([method, path, handler]) => ({
  method,
  handler,
  pattern: new RegExp(`^${path.replace("{id}", "([^/]+)")}$`),
}));
const firstSegments = new Set(endpoints.map(([, path]) => path.split("/")[1]));

export interface JsonApi {
  serves(path: string): boolean;
  handle(path: string, request: Request, response: Response): void;
}

export function createJsonApi(options: {
  readonly engine: Engine;
  readonly log: Log;
  /** Why the request may not be served; undefined when it shows a key or none is asked for. */
  readonly unauthorized: (request: Request) => string | undefined;
}): JsonApi {
  const { engine, log, unauthorized } = options;

  function refused(response: Response, thrown: unknown, path: string): void {
    if (response.headersSent) {
      // A list that breaks off in its middle must not look whole.
      response.destroy();
      return;
    }
    let refusal = refusalOf(thrown);
    if (refusal === undefined) {
      log.error({ err: thrown, path: path.slice(0, 100) }, "a call failed inside the server");
      refusal = refuse("INTERNAL", "a bug of ours; the server's log has it");
    }
    if (refusal.retryAfterMs > 0) response.setHeader("retry-after", Math.ceil(refusal.retryAfterMs / 1_000));
    replyJson(response, statusOf(refusal), { error: textOf(refusal) });
  }

  async function run(
    handler: Handler,
    encodedId: string | undefined,
    path: string,
    request: Request,
    response: Response,
  ) {
    try {
      const id = encodedId === undefined ? "" : checkRunId(decode(encodedId), "id");
      const query = new URL(request.url ?? "/", "http://localhost").searchParams;
      await handler({ engine, request, response, id, query });
    } catch (error) {
      refused(response, error, path);
    }
  }

  return {
    serves: (path) => firstSegments.has(path.split("/", 2)[1] as string),
    handle(path, request, response) {
      const denied = unauthorized(request);
      if (denied !== undefined) {
        response.setHeader("www-authenticate", "Bearer");
        return replyJson(response, 401, { error: denied });
      }
      const found = patterns.filter(({ pattern }) => pattern.test(path));
      if (found.length === 0) return replyJson(response, 404, { error: "there is nothing at this path" });
      const match = found.find(({ method }) => method === request.method);
      if (match === undefined) {
        const methods = found.map(({ method }) => method).join(", ");
        response.setHeader("allow", methods);
        return replyJson(response, 405, { error: `only ${methods} is served at this path` });
      }
      void run(match.handler, match.pattern.exec(path)?.[1], path, request, response);
    },
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // As it is: a stray percent sign belongs to the id.
    return text;
  }
}
