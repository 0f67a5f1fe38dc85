import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import fc from "fast-check";
import { eventTypes } from "../../src/core/event.ts";
import { createEngine, createServer } from "../../src/index.ts";
import { messageBytesMax } from "../../src/limits.ts";
import { endpoints } from "../../src/server/json-api/routes.ts";
import { describedBodies, deviation } from "../json-api/described.ts";
import { SeedClient } from "../json-api/seed-client.ts";
import { assertCases, times } from "./cases.ts";
import { type Call, calls, ids, noObjects, oneWrong, target } from "./json-cases.ts";

// The seed's interface under bodies, paths, methods and headers of any kind: each is carried out as described, or
// refused with a status of the caller's and one sentence as JSON, and then nothing was written. A client of good will
// is served beside it all the while.

const folder = mkdtempSync(join(tmpdir(), "everstep-json-fuzz-"));
const bugs: unknown[] = [];
const agent = new http.Agent({ keepAlive: true });
let url: string;
let file: Database;
let stop: () => Promise<void>;
let good: GoodClient;

/** Creates, signals and reads workflows of its own, until it is told to stop. */
class GoodClient {
  served = 0;
  #running = true;
  readonly #done: Promise<unknown>;
  constructor(seed: SeedClient) {
    this.#done = this.#loop(seed).catch((error: unknown) => error);
  }
  async #loop(seed: SeedClient): Promise<void> {
    while (this.#running) {
      const id = `good-${this.served}`;
      expect((await seed.create(id)).status).toBe(200);
      const signal = { workflow_id: id, signal_type: "s", payload: { no: this.served } };
      expect((await seed.post("/signals", signal)).status).toBe(200);
      const { body } = await seed.get(`/signals/${id}`);
      expect(body).toMatchObject([{ workflow_id: id, payload_json: `{"no":${this.served}}` }]);
      this.served += 1;
    }
  }
  async stop(): Promise<void> {
    this.#running = false;
    expect(await this.#done).toBeUndefined();
  }
}

beforeAll(async () => {
  const path = join(folder, "everstep.db");
  const engine = await createEngine({ path, leaseTtlMs: 300_000 });
  const quiet = () => {};
  const log = { debug: quiet, info: quiet, warn: quiet, error: (fields: object) => void bugs.push(fields) };
  const server = createServer(engine, { port: 0, log });
  ({ url } = await server.listen());
  file = new SqliteDatabase(path, { readonly: true });
  stop = async () => {
    await server.close(100);
    await engine.stop();
  };
  const seed = new SeedClient(url);
  expect((await seed.create(target)).status).toBe(200);
  expect((await seed.acquire("w")).body).toMatchObject({ workflow_id: target });
  good = new GoodClient(seed);
});
afterAll(async () => {
  agent.destroy();
  file.close();
  await stop();
  rmSync(folder, { recursive: true });
});

/** What the server writes when a time has come, whoever calls then. */
const ofItself = [eventTypes.TimerFired, eventTypes.RetryDue, eventTypes.LeaseEnded];

/** All that callers have written, but for the good client. */
function written(): unknown {
  const runs = "FROM runs WHERE run_id NOT LIKE 'good-%'";
  return file
    .prepare(
      `SELECT count(*) AS runs, (SELECT count(*) FROM events WHERE run_no IN (SELECT run_no ${runs})
        AND type NOT IN (${ofItself.join()})) AS events ${runs}`,
    )
    .get();
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** Sent as it is: fetch would mend the path first. */
async function send({ method, path, body, headers }: Call): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const request = http.request({ agent, hostname, port, method, path, headers: { ...headers } });
  const signal = AbortSignal.timeout(10_000);
  const answered = once(request, "response", { signal }) as Promise<[http.IncomingMessage]>;
  request.end(body);
  const [response] = await answered;
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part;
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

function expectClear({ status, headers, text }: Answer, what: string): string {
  expect(status, `${what}: ${text}`).toBeGreaterThanOrEqual(400);
  expect(status, `${what}: ${text}`).toBeLessThan(500);
  expect(headers["content-type"]).toMatch(/^application\/json/);
  const { error } = JSON.parse(text) as { error: string };
  expect(error.length, what).toBeGreaterThan(5);
  expect(error, what).not.toMatch(/undefined|is not a function|call stack|\n/);
  return error;
}

async function expectRefused(call: Call, statuses: readonly number[]): Promise<string> {
  const before = written();
  const answer = await send(call);
  const what = `${call.method} ${call.path.slice(0, 60)} ${String(call.body).slice(0, 60)}`;
  const error = expectClear(answer, what);
  expect(statuses, `${what}: ${answer.text}`).toContain(answer.status);
  expect(written(), what).toEqual(before);
  return error;
}

const json = { "content-type": "application/json" };
const withBody = describedBodies().map(({ method, path }) => ({ method, path: path.replace("{id}", target) }));

test.each(noObjects)("%s is no body", async (_what, body) => {
  expect(withBody.length).toBeGreaterThan(10);
  for (const endpoint of withBody) {
    expect(await expectRefused({ ...endpoint, body, headers: json }, [400])).toMatch(/^body /);
  }
});

test("a body that is too large, or packed, is refused", async () => {
  const large = `{"workflow_id":"${"a".repeat(messageBytesMax)}"}`;
  const packed = new Uint8Array(gzipSync('{"workflow_id":"packed","workflow_type":"t","worker_id":"w"}'));
  for (const endpoint of withBody) {
    await expectRefused({ ...endpoint, body: packed, headers: { ...json, "content-encoding": "gzip" } }, [400]);
  }
  for (const endpoint of withBody.slice(0, 2)) {
    await expectRefused({ ...endpoint, body: large, headers: json }, [413]);
    await expectRefused({ ...endpoint, body: large, headers: { ...json, "transfer-encoding": "chunked" } }, [413]);
  }
});

test("a method that is not served at a path is 405 and names those that are; a path that is none is 404", async () => {
  const methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH"];
  const serves = (pattern: string, path: string) => new RegExp(`^${pattern.replace("{id}", "[^/]+")}$`).test(path);
  for (const path of new Set(endpoints.map(([, path]) => path.replace("{id}", target)))) {
    const served = endpoints.flatMap(([method, pattern]) => (serves(pattern, path) ? [method] : []));
    for (const method of methods.filter((name) => !served.includes(name as "GET"))) {
      const before = written();
      const answer = await send({ method, path, headers: json });
      expectClear(answer, `${method} ${path}`);
      expect([answer.status, answer.headers.allow]).toEqual([405, served.join(", ")]);
      expect(written()).toEqual(before);
    }
    for (const odd of [`${path}/`, `${path}/x/y`, `/${path}`, `${path}%2f`, path.toUpperCase(), `${path}x/`]) {
      if (endpoints.some(([, pattern]) => serves(pattern, odd))) continue;
      await expectRefused({ method: "POST", path: odd, body: "{}", headers: json }, [404]);
    }
  }
});

test("an id of any kind in a path is that of no workflow, or refused", { timeout: 30_000 * times }, async () => {
  const paths = endpoints.filter(([, path]) => path.includes("{id}"));
  await assertCases(
    fc.asyncProperty(fc.constantFrom(...paths), ids, async ([method, path], id) => {
      fc.pre(id !== target);
      const call = { method, path: path.replace("{id}", id), headers: json };
      await expectRefused(method === "GET" ? call : { ...call, body: '{"worker_id":"w"}' }, [400, 404]);
    }),
    { numRuns: 60, limitMs: 10_000 },
  );
});

test("a body of which one field is wrong is refused with its name, also where the others would do", async () => {
  const wrong = oneWrong();
  expect(wrong.length).toBeGreaterThan(100);
  for (const { call, field } of wrong) expect(await expectRefused(call, [400])).toContain(field);
});

test("any body of any endpoint is carried out as described, or refused", { timeout: 60_000 * times }, async () => {
  let done = 0;
  await assertCases(
    fc.asyncProperty(calls, async (call) => {
      const before = written();
      const answer = await send(call);
      const what = `${call.method} ${call.path.slice(0, 60)} ${String(call.body).slice(0, 200)}`;
      if (answer.status !== 200) {
        expectClear(answer, what);
        expect(written(), what).toEqual(before);
        return;
      }
      done += 1;
      const request = call.body === undefined ? undefined : (JSON.parse(String(call.body)) as unknown);
      expect(deviation({ ...call, request, status: 200, answer: JSON.parse(answer.text) })).toBeUndefined();
    }),
    { numRuns: 120, limitMs: 15_000 },
  );
  expect(done).toBeGreaterThan(0);
});

test("the client beside it was served, and nothing failed inside the server", async () => {
  await good.stop();
  expect(good.served).toBeGreaterThan(10);
  expect(bugs).toEqual([]);
});
