import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { openapi } from "../../src/server/json-api/openapi.ts";

// Holds what a server answers, and what it accepted, against the description that it serves.

interface Described {
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, object>>;
}

const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(openapi, "openapi");
const validators = new Map<string, ValidateFunction>();

function validatorAt(...place: readonly string[]): ValidateFunction {
  const pointer = place.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
  let validator = validators.get(pointer);
  if (validator === undefined) {
    validator = ajv.compile({ $ref: `openapi#/${encodeURI(pointer)}` });
    validators.set(pointer, validator);
  }
  return validator;
}

const paths = Object.entries(openapi.paths as Readonly<Record<string, Readonly<Record<string, Described>>>>);
const schemaPlace = ["content", "application/json", "schema"];

/** "METHOD path" of everything that is described. */
export function describedEndpoints(): string[] {
  return paths.flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
}

/** Why the exchange is not as described; undefined when it is, or is about no endpoint. */
export function deviation(exchange: {
  method: string;
  path: string;
  request: unknown;
  status: number;
  answer: unknown;
}): string | undefined {
  const { request, status, answer } = exchange;
  const method = exchange.method.toLowerCase();
  const plainPath = exchange.path.split("?", 1)[0] as string;
  for (const [path, methods] of paths) {
    const described = methods[method];
    if (described === undefined || !matches(path, plainPath)) continue;
    const name = `${exchange.method} ${path}`;
    if (described.responses[status] === undefined) return `${name} answered ${status}, which is not described`;
    const validate = validatorAt("paths", path, method, "responses", String(status), ...schemaPlace);
    if (!validate(answer)) return `${name} answered ${status}: ${ajv.errorsText(validate.errors)}`;
    if (status !== 200 || described.requestBody === undefined) return undefined;
    const accepts = validatorAt("paths", path, method, "requestBody", ...schemaPlace);
    if (!accepts(request)) return `${name} accepted what is not described: ${ajv.errorsText(accepts.errors)}`;
    return undefined;
  }
  return undefined;
}

/** Whether a body is one that an endpoint may accept. */
export function isDescribed(method: string, path: string, request: unknown): boolean {
  return validatorAt("paths", path, method.toLowerCase(), "requestBody", ...schemaPlace)(request);
}

/** The bodies that endpoints ask for: the names of their fields. */
export function describedBodies(): { method: string; path: string; fields: string[] }[] {
  return paths.flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { requestBody }]) => {
      if (requestBody === undefined) return [];
      const { content } = requestBody as { content: Record<string, { schema: { properties: object } }> };
      const fields = Object.keys(content["application/json"]?.schema.properties ?? {});
      return [{ method: method.toUpperCase(), path, fields }];
    }),
  );
}

function matches(path: string, plainPath: string): boolean {
  return new RegExp(`^${path.replace("{id}", "[^/]+")}$`).test(plainPath);
}
