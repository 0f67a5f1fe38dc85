import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { endpoints } from "../../src/server/json-api/routes.ts";
import { ServerProcess } from "../support/server-process.ts";
import { describedBodies, describedEndpoints, deviation, isDescribed } from "./described.ts";
import { SeedClient } from "./seed-client.ts";

// The description of the JSON API. That the server's answers are as described is checked by every call of the
// contract tests (seed-client.ts).

const folder = mkdtempSync(join(tmpdir(), "everstep-openapi-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("describes exactly the endpoints that are served", () => {
  const served = endpoints.map(([method, path]) => `${method} ${path}`);
  expect(served.length).toBe(23);
  expect(describedEndpoints().sort()).toEqual(served.sort());
});

test("is served as OpenAPI 3.1, without a key; every reference in it leads somewhere", async () => {
  const server = await ServerProcess.start({ db: join(folder, "o.db"), args: ["--api-key", "a-secret-key"] });
  const response = await fetch(`${server.url}/openapi.json`);
  const text = await response.text();
  await server.signal("SIGTERM");
  expect(response.headers.get("content-type")).toContain("application/json");
  const description = JSON.parse(text);
  expect(description.openapi).toBe("3.1.0");
  expect(description.components.securitySchemes.key).toMatchObject({ type: "http", scheme: "bearer" });
  const ids = Object.values<Record<string, { operationId: string }>>(description.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(23);
  const names = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1] as string);
  expect(names.length).toBeGreaterThan(23);
  expect(names.filter((name) => description.components.schemas[name] === undefined)).toEqual([]);
});

test("what deviates from it is noticed: a field too many, one too few, a status, an accepted body", () => {
  const timer = { timer_id: 1, workflow_id: "w", wake_at: 5, fired: false };
  const exchange = { method: "POST", path: "/timers", request: { workflow_id: "w", wake_at: 5 }, status: 200 };
  expect(deviation({ ...exchange, answer: timer })).toBeUndefined();
  expect(deviation({ ...exchange, answer: { ...timer, more: 1 } })).toContain("additional");
  expect(deviation({ ...exchange, answer: { ...timer, fired: null } })).toContain("boolean");
  expect(deviation({ ...exchange, answer: { timer_id: 1 } })).toContain("required");
  expect(deviation({ ...exchange, status: 500, answer: { error: "x" } })).toContain("500");
  expect(deviation({ ...exchange, request: { wake_at: "5" }, answer: timer })).toContain("accepted");
});

const right: Readonly<Record<string, unknown>> = {
  workflow_id: "nobody",
  workflow_type: "t",
  worker_id: "w",
  signal_type: "s",
  step_number: 1,
  input: {},
  output: [],
  payload: "p",
  error: "e",
  wake_at: 1,
  lease_duration: 5,
  retry_count: 1,
  max_retries: 3,
  policy: "linear",
  base_seconds: 1,
  max_seconds: 9,
  lease_id: "",
  epoch: 0,
};
const values = [undefined, null, "", "x", "x".repeat(300), 0, -1, 1.5, 2 ** 31, 2 ** 60, 1e300, true, [], {}];

test("each field of each body with every kind of value: what is not described is 400 and names it, the rest is not", {
  timeout: 120_000,
}, async () => {
  const server = await ServerProcess.start({ db: join(folder, "fields.db") });
  const seed = new SeedClient(server.url);
  const wrong: string[] = [];
  let refused = 0;
  for (const { method, path, fields } of describedBodies()) {
    const whole = Object.fromEntries(fields.map((field) => [field, right[field]]));
    expect(Object.values(whole)).not.toContain(undefined);
    const tries = fields.flatMap((field) => values.map((value) => ({ field, value })));
    await Promise.all(
      tries.map(async ({ field, value }) => {
        const body = JSON.parse(JSON.stringify({ ...whole, [field]: value })) as object;
        const { status, body: answer } = await seed.call(method, path.replace("{id}", "nobody"), body);
        const described = isDescribed(method, path, body);
        if (!described) refused += 1;
        const fits = described ? status < 500 && status !== 400 : status === 400 && answer.error.includes(field);
        if (!fits) wrong.push(`${path} ${field} ${JSON.stringify(value)}: ${status} ${JSON.stringify(answer)}`);
      }),
    );
  }
  await server.signal("SIGTERM");
  expect(wrong).toEqual([]);
  expect(refused).toBeGreaterThan(200);
});
