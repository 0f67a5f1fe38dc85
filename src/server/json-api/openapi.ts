import { version } from "../../version.ts";
import { body, listOf, ref, type Schema, schemas } from "./openapi-schemas.ts";

// The seed's interface in the words of OpenAPI 3.1, served at /openapi.json. The contract tests check every answer of
// a real server against it, and that it names exactly the endpoints that are served.

interface Operation {
  readonly id: string;
  readonly summary: string;
  readonly body?: Schema;
  readonly query?: string;
  readonly answer: Schema;
  /** Statuses beside 200, 400, 401 and 503 that it may answer. */
  readonly refusals: readonly (404 | 409 | 413)[];
}

const either = (...choices: readonly Schema[]): Schema => ({ anyOf: choices });
const ok = ref("Ok");
const held = [404, 409] as const;

const operations: Readonly<Record<string, Operation>> = {
  "POST /workflows": {
    id: "createWorkflow",
    summary: "Create a QUEUED workflow; an id is never used twice",
    body: body("workflow_id", "workflow_type"),
    answer: ref("Workflow"),
    refusals: [409, 413],
  },
  "GET /workflows/{id}": {
    id: "getWorkflow",
    summary: "One workflow",
    answer: ref("Workflow"),
    refusals: [404],
  },
  "POST /workflows/{id}/complete": underLease("completeWorkflow", "End the workflow as COMPLETED"),
  "POST /workflows/{id}/fail": underLease("failWorkflow", "End the workflow as FAILED"),
  "POST /workflows/{id}/waiting": underLease(
    "markWaiting",
    "Give up the lease until the next signal or timer; one that came since the acquire puts it back at once",
  ),
  "POST /leases/acquire": {
    id: "acquireLease",
    summary: "The oldest workflow that is QUEUED, under a lease of its own",
    body: body("worker_id", "lease_duration?"),
    answer: either(ref("AcquiredWorkflow"), ref("NoWork")),
    refusals: [413],
  },
  "POST /leases/{id}/renew": {
    ...underLease("renewLease", "Extend the lease"),
    body: body("worker_id", "lease_duration?", "lease_id?", "epoch?"),
  },
  "POST /leases/{id}/release": underLease("releaseLease", "Give the workflow back: QUEUED at once"),
  "POST /steps/start": {
    id: "startStep",
    summary: "Record that a step begins",
    body: body("workflow_id", "worker_id", "step_number", "input?", "lease_id?", "epoch?"),
    answer: ok,
    refusals: [...held, 413],
  },
  "POST /steps/complete": {
    id: "completeStep",
    summary: "Record the result of a step: once, the second time is 409",
    body: body("workflow_id", "worker_id", "step_number", "input?", "output?", "lease_id?", "epoch?"),
    answer: ok,
    refusals: [...held, 413],
  },
  "POST /steps/fail": {
    id: "failStep",
    summary: "Record a failed attempt of a step; a completed one is 409",
    body: body("workflow_id", "worker_id", "step_number", "input?", "error", "lease_id?", "epoch?"),
    answer: ok,
    refusals: [...held, 413],
  },
  "GET /steps/{id}": {
    id: "getSteps",
    summary: "The steps of a workflow, by number",
    answer: listOf(ref("Step")),
    refusals: [404],
  },
  "POST /signals": {
    id: "sendSignal",
    summary: "Send a signal: it wakes a WAITING workflow",
    body: body("workflow_id", "signal_type", "payload?"),
    answer: ref("Signal"),
    refusals: [...held, 413],
  },
  "POST /signals/{id}/consume": {
    id: "consumeSignal",
    summary: "Take the oldest signal. Under a live lease the next result uses it up; without one it comes back",
    answer: either(ref("Signal"), ref("NoSignal")),
    refusals: held,
  },
  "GET /signals/{id}": {
    id: "getSignals",
    summary: "The signals of a workflow, the oldest first",
    query: "unconsumed",
    answer: listOf(ref("Signal")),
    refusals: [404],
  },
  "POST /timers": {
    id: "createTimer",
    summary: "Wake the workflow at an instant",
    body: body("workflow_id", "wake_at"),
    answer: ref("Timer"),
    refusals: [...held, 413],
  },
  "POST /retry": {
    id: "retryStep",
    summary: "One failed attempt, a timer, and the lease given up, in one commit",
    body: body(
      "workflow_id",
      "worker_id",
      "step_number",
      "retry_count",
      "max_retries",
      "policy",
      "base_seconds?",
      "max_seconds?",
      "lease_id?",
      "epoch?",
    ),
    answer: ref("RetryScheduled"),
    refusals: [...held, 413],
  },
  "GET /events/{id}": {
    id: "getEvents",
    summary: "The history of a workflow",
    answer: listOf(ref("Event")),
    refusals: [404],
  },
  "GET /observability/failed": byStatus("queryFailed", "FAILED; cancelled and terminated runs too"),
  "GET /observability/running": byStatus("queryRunning", "RUNNING"),
  "GET /observability/queued": byStatus("queryQueued", "QUEUED"),
  "GET /observability/waiting": byStatus("queryWaiting", "WAITING; paused runs too"),
  "GET /observability/avg-step-duration": {
    id: "avgStepDuration",
    summary: "Average duration of the steps of each number",
    answer: ref("StepDurations"),
    refusals: [],
  },
};

function underLease(id: string, summary: string): Operation {
  return { id, summary, body: body("worker_id", "lease_id?", "epoch?"), answer: ok, refusals: [...held, 413] };
}

function byStatus(id: string, statuses: string): Operation {
  return { id, summary: `All workflows that are ${statuses}`, answer: ref("WorkflowList"), refusals: [] };
}

const meanings: Readonly<Record<number, string>> = {
  200: "done, and durable",
  400: "the request is malformed; the text names the field",
  401: "an API key is needed, or the one shown is wrong",
  404: "there is no such workflow",
  409: "it contradicts the state of the workflow: another worker, a lease that ended, a result that is there",
  413: "the body or a payload is over its limit",
  503: "too busy, out of disk or shutting down: try again",
};

function content(schema: Schema): object {
  return { content: { "application/json": { schema } } };
}

function describe(path: string, operation: Operation): object {
  const answers = [200, 400, 401, ...operation.refusals, 503].map((status): [string, object] => [
    String(status),
    { description: meanings[status], ...content(status === 200 ? operation.answer : ref("Error")) },
  ]);
  const parameters: object[] = [];
  if (path.includes("{id}")) {
    parameters.push({
      name: "id",
      in: "path",
      required: true,
      description: "the workflow_id, percent-encoded",
      schema: { type: "string", minLength: 1 },
    });
  }
  if (operation.query !== undefined) {
    parameters.push({ name: operation.query, in: "query", schema: { type: "string", enum: ["true", "false"] } });
  }
  return {
    operationId: operation.id,
    summary: operation.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === undefined ? {} : { requestBody: { required: true, ...content(operation.body) } }),
    responses: Object.fromEntries(answers),
  };
}

function describePaths(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, operation] of Object.entries(operations)) {
    const [method, path] = name.split(" ") as [string, string];
    paths[path] = { ...paths[path], [method.toLowerCase()]: describe(path, operation) };
  }
  return paths;
}

export const openapi = {
  openapi: "3.1.0",
  info: {
    title: "Everstep: the JSON API of its predecessor",
    version,
    description:
      'Bodies and answers are JSON, instants whole Unix seconds, errors {"error": text}. All of it works on the ' +
      'namespace and the queue "default". New code has more in the gRPC and Connect services at the same port.',
  },
  security: [{}, { key: [] }],
  paths: describePaths(),
  components: {
    securitySchemes: {
      key: { type: "http", scheme: "bearer", description: "the API key, when the server was started with one" },
    },
    schemas,
  },
};
