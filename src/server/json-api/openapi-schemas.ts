import * as limits from "../../limits.ts";

// The shapes of the seed's interface, as JSON Schema. Every field is always there; what has no value is null.

export type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const integer: Schema = { type: "integer" };
const flag: Schema = { type: "boolean" };
const seconds: Schema = { type: "integer", description: "Unix seconds" };
const json: Schema = { type: ["string", "null"], description: "JSON as text; null when none was given" };
const orNull = (schema: Schema): Schema => ({ ...schema, type: [schema.type, "null"] });

export function oneOf(...values: readonly string[]): Schema {
  return { type: "string", enum: values };
}

export function object(properties: Readonly<Record<string, Schema>>, description?: string): Schema {
  return {
    type: "object",
    ...(description === undefined ? {} : { description }),
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

export function listOf(items: Schema): Schema {
  return { type: "array", items };
}

export function ref(name: keyof typeof schemas): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

const workflow = {
  workflow_id: text,
  workflow_type: text,
  status: oneOf("QUEUED", "RUNNING", "WAITING", "COMPLETED", "FAILED"),
  current_step: { type: "integer", description: "how many steps are completed" },
  lease_owner: { type: ["string", "null"], description: "the worker that holds it" },
  lease_expires_at: orNull(seconds),
  created_at: seconds,
  updated_at: seconds,
  completed_at: orNull(seconds),
  version: { type: "integer", description: "starts at 1; grows at acquire, step completion, complete and fail" },
};

export const schemas = {
  Workflow: object(workflow),
  AcquiredWorkflow: object(
    { ...workflow, lease_id: { type: "string", pattern: "^[0-9a-f]{32}$" }, epoch: integer },
    "lease_id and epoch may be sent back with every call under this lease: a worker that was away too long is refused",
  ),
  WorkflowList: object({ items: { type: "array", items: { $ref: "#/components/schemas/Workflow" } }, count: integer }),
  Event: object({
    event_id: integer,
    workflow_id: text,
    event_type: oneOf(
      "WORKFLOW_CREATED",
      "WORKFLOW_STARTED",
      "STEP_STARTED",
      "STEP_COMPLETED",
      "STEP_FAILED",
      "SIGNAL_RECEIVED",
      "TIMER_FIRED",
      "WORKFLOW_COMPLETED",
      "WORKFLOW_FAILED",
    ),
    payload_json: json,
    sequence_number: { type: "integer", minimum: 1, description: "1 to n without gaps" },
    created_at: seconds,
  }),
  Step: object({
    workflow_id: text,
    step_number: integer,
    status: oneOf("RUNNING", "COMPLETED", "FAILED"),
    input_json: json,
    output_json: json,
    started_at: orNull(seconds),
    completed_at: orNull(seconds),
  }),
  Signal: object({
    signal_id: integer,
    workflow_id: text,
    signal_type: text,
    payload_json: json,
    consumed: flag,
    created_at: seconds,
  }),
  Timer: object({ timer_id: integer, workflow_id: text, wake_at: seconds, fired: flag }),
  StepDurations: {
    type: "object",
    description: "step number to average seconds",
    propertyNames: { pattern: "^-?\\d+$" },
    additionalProperties: { type: "number" },
  },
  Ok: object({ status: { const: "ok" } }),
  NoWork: object({ status: { const: "no_work" } }),
  NoSignal: object({ status: { const: "no_signal" } }),
  RetryScheduled: object(
    { retry_scheduled: flag },
    "false when the retries are used up: nothing changed, the lease goes on",
  ),
  Error: object({ error: text }),
} as const;

// ---- what is asked

const name: Schema = { type: "string", minLength: 1, maxLength: limits.nameBytesMax };
const anything: Schema = { description: "any JSON value; null and absent are none" };
const duration: Schema = {
  type: ["integer", "null"],
  minimum: 0,
  maximum: limits.durationMsMax / 1_000,
  description: "seconds; absent or 0 is the server's own lease time",
};
const count: Schema = { type: "integer", minimum: 0, maximum: limits.countMax };

export const fields = {
  workflow_id: { type: "string", minLength: 1, maxLength: limits.runIdBytesMax },
  workflow_type: name,
  worker_id: name,
  signal_type: name,
  step_number: { type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
  input: anything,
  output: anything,
  payload: anything,
  error: { type: "string", minLength: 1, maxLength: limits.failureMessageBytesMax },
  wake_at: { ...seconds, minimum: -limits.durationMsMax / 1_000, maximum: limits.durationMsMax / 1_000 },
  lease_duration: duration,
  retry_count: count,
  max_retries: count,
  policy: oneOf("fixed", "linear", "exponential"),
  base_seconds: { ...duration, description: "the first delay" },
  max_seconds: { ...duration, description: "no delay is longer; absent or 0 is no limit" },
  lease_id: {
    type: ["string", "null"],
    maxLength: limits.nameBytesMax,
    description: "of the acquire, for full fencing",
  },
  epoch: {
    type: ["integer", "null"],
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "of the acquire, for full fencing",
  },
} as const satisfies Readonly<Record<string, Schema>>;
export type Field = keyof typeof fields;

/** A body with these fields; one with a question mark may be absent. Others are ignored. */
export function body(...names: readonly (Field | `${Field}?`)[]): Schema {
  const isOptional = (field: string) => field.endsWith("?");
  const properties = Object.fromEntries(
    names.map((field) => [field.replace("?", ""), fields[field.replace("?", "") as Field] as Schema]),
  );
  return { type: "object", properties, required: names.filter((field) => !isOptional(field)) };
}
