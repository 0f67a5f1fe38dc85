import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { messageBytesMax } from "../../src/limits.ts";
import { ServerProcess } from "../support/server-process.ts";
import { SeedClient } from "./seed-client.ts";

// Each row of the seed's contract against a real server on a real file: what is right, the wrong worker, the second
// time, what nobody knows, what is malformed. Once without a key, once with one.

const folder = mkdtempSync(join(tmpdir(), "everstep-json-api-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const now = () => Math.floor(Date.now() / 1_000);
const ok = { status: 200, body: { status: "ok" } };
const conflict = { status: 409, body: { error: expect.any(String) } };
const unknown = { status: 404, body: { error: expect.any(String) } };
const bad = (field: string) => ({ status: 400, body: { error: expect.stringContaining(field) } });

for (const apiKey of [undefined, "the-secret-key"]) {
  describe(apiKey === undefined ? "without a key" : "with a key", () => {
    let server: ServerProcess;
    let seed: SeedClient;
    let count = 0;
    /** A workflow of its own, held by `worker`; everything older is out of the way. */
    async function held(worker = "w1"): Promise<string> {
      const id = `held-${++count}`;
      await seed.create(id);
      expect((await seed.acquire(worker)).body).toMatchObject({ workflow_id: id });
      return id;
    }
    const step = (workflow_id: string, more: object = {}) => ({
      workflow_id,
      worker_id: "w1",
      step_number: 1,
      ...more,
    });

    beforeAll(async () => {
      const args = apiKey === undefined ? [] : ["--api-key", apiKey];
      server = await ServerProcess.start({ db: join(folder, `${apiKey ?? "open"}.db`), args });
      seed = new SeedClient(server.url, apiKey);
    });
    afterAll(() => server?.signal("SIGTERM"));

    test("a key is asked for, or is not", async () => {
      const stranger = new SeedClient(server.url);
      const { status, body } = await stranger.get("/observability/queued");
      expect(status).toBe(apiKey === undefined ? 200 : 401);
      if (apiKey !== undefined) expect(body).toEqual({ error: expect.stringContaining("API key") });
      const liar = await new SeedClient(server.url, "another-key").get("/observability/queued");
      expect(liar.status).toBe(apiKey === undefined ? 200 : 401);
    });

    test("POST /workflows, GET /workflows/{id}", async () => {
      const { status, body } = await seed.create("first", "order_processing");
      expect(status).toBe(200);
      expect(body).toEqual({
        workflow_id: "first",
        workflow_type: "order_processing",
        status: "QUEUED",
        current_step: 0,
        lease_owner: null,
        lease_expires_at: null,
        created_at: expect.any(Number),
        updated_at: expect.any(Number),
        completed_at: null,
        version: 1,
      });
      expect(Math.abs(body.created_at - now())).toBeLessThan(60);
      expect(await seed.workflow("first")).toEqual(body);
      expect(await seed.create("first")).toEqual(conflict);
      expect(await seed.get("/workflows/none")).toEqual(unknown);
      expect(await seed.post("/workflows", { workflow_type: "x" })).toEqual(bad("workflow_id"));
      expect(await seed.post("/workflows", { workflow_id: "x" })).toEqual(bad("workflow_type"));
      expect(await seed.post("/workflows", { workflow_id: 7, workflow_type: "x" })).toEqual(bad("workflow_id"));
      for (const body of ["{", "[]", '"x"', "null", ""])
        expect(await seed.post("/workflows", body)).toEqual(bad("body"));
      await seed.acquire("w");
      await seed.post("/workflows/first/complete", { worker_id: "w" });
    });

    test("half of a character in an id is one that can be stored; names have no control characters", async () => {
      const half = '{"workflow_id": "half-\\ud800", "workflow_type": "x"}';
      expect((await seed.post("/workflows", half)).body).toMatchObject({ workflow_id: "half-\ufffd" });
      expect(await seed.workflow("half-\ufffd")).toMatchObject({ status: "QUEUED", version: 1 });
      expect((await seed.acquire("w")).body).toMatchObject({ workflow_id: "half-\ufffd" });
      const worker_id = "w";
      expect(await seed.post(`/workflows/${encodeURIComponent("half-\ufffd")}/complete`, { worker_id })).toEqual(ok);
      const workflow_id = "plain";
      expect(await seed.post("/workflows", { workflow_id, workflow_type: "a\0b" })).toEqual(bad("workflow_type"));
      expect(await seed.acquire("w\0")).toEqual(bad("worker_id"));
      expect(await seed.post("/signals", { workflow_id, signal_type: "\x1b[2J" })).toEqual(bad("signal_type"));
    });

    test("POST /leases/acquire: the oldest first, then nothing", async () => {
      for (const id of ["older", "younger"]) await seed.create(id);
      const { body } = await seed.acquire("w1", { lease_duration: 60 });
      expect(body).toMatchObject({ workflow_id: "older", status: "RUNNING", lease_owner: "w1", version: 2, epoch: 1 });
      expect(body.lease_id).toMatch(/^[0-9a-f]{32}$/);
      expect(Math.abs(body.lease_expires_at - now() - 60)).toBeLessThan(30);
      expect((await seed.acquire("w2", { lease_duration: 1_000_000_000 })).body).toMatchObject({
        workflow_id: "younger",
        lease_owner: "w2",
      });
      expect(await seed.acquire("w3")).toEqual({ status: 200, body: { status: "no_work" } });
      expect(await seed.post("/leases/acquire", {})).toEqual(bad("worker_id"));
      expect(await seed.acquire("w", { lease_duration: "long" })).toEqual(bad("lease_duration"));
      expect(await seed.acquire("w", { lease_duration: -1 })).toEqual(bad("lease_duration"));
    });

    test("POST /leases/{id}/renew and /release", async () => {
      const id = await held();
      expect(await seed.post(`/leases/${id}/renew`, { worker_id: "w1", lease_duration: 500 })).toEqual(ok);
      expect(Math.abs((await seed.workflow(id)).lease_expires_at - now() - 500)).toBeLessThan(60);
      expect(await seed.post(`/leases/${id}/renew`, { worker_id: "w2" })).toEqual(conflict);
      expect(await seed.post(`/leases/${id}/release`, { worker_id: "w2" })).toEqual(conflict);
      expect(await seed.post("/leases/none/renew", { worker_id: "w1" })).toEqual(unknown);
      expect(await seed.post("/leases/none/release", { worker_id: "w1" })).toEqual(unknown);
      expect(await seed.post(`/leases/${id}/release`, { worker_id: "w1" })).toEqual(ok);
      expect(await seed.workflow(id)).toMatchObject({ status: "QUEUED", lease_owner: null, lease_expires_at: null });
      expect(await seed.post(`/leases/${id}/renew`, { worker_id: "w1" })).toEqual(conflict);
      expect(await seed.post(`/leases/${id}/release`, { worker_id: "w1" })).toEqual(conflict);
      await seed.acquire("w1");
    });

    test("lease_id and epoch fence a worker of the same name", async () => {
      const id = await held("twin");
      await seed.post(`/leases/${id}/release`, { worker_id: "twin" });
      const { body } = await seed.acquire("twin");
      const fence = { lease_id: body.lease_id, epoch: body.epoch };
      expect(body.epoch).toBe(2);
      const renew = (more: object) => seed.post(`/leases/${id}/renew`, { worker_id: "twin", ...more });
      expect(await renew({ ...fence, epoch: 1 })).toEqual(conflict);
      expect(await renew({ lease_id: "0".repeat(32) })).toEqual(conflict);
      expect(await renew(fence)).toEqual(ok);
    });

    for (const [verb, status] of [
      ["complete", "COMPLETED"],
      ["fail", "FAILED"],
      ["waiting", "WAITING"],
    ] as const) {
      test(`POST /workflows/{id}/${verb}`, async () => {
        const id = await held();
        const path = `/workflows/${id}/${verb}`;
        expect(await seed.post(path, { worker_id: "w2" })).toEqual(conflict);
        expect(await seed.post(path, {})).toEqual(bad("worker_id"));
        expect(await seed.post(`/workflows/none/${verb}`, { worker_id: "w1" })).toEqual(unknown);
        expect(await seed.post(path, { worker_id: "w1" })).toEqual(ok);
        const after = await seed.workflow(id);
        expect(after).toMatchObject({ status, lease_owner: null, lease_expires_at: null });
        expect(after.version).toBe(verb === "waiting" ? 2 : 3);
        expect(after.completed_at).toEqual(verb === "waiting" ? null : expect.any(Number));
        expect(await seed.post(path, { worker_id: "w1" })).toEqual(conflict);
        expect(await seed.post("/steps/complete", step(id))).toEqual(conflict);
        if (verb === "waiting") await seed.post("/signals", { workflow_id: id, signal_type: "go" });
        if (verb === "waiting") await seed.acquire("w1");
      });
    }

    test("POST /steps/start, /complete, /fail, GET /steps/{id}", async () => {
      const id = await held();
      expect(await seed.post("/steps/start", step(id, { input: { a: 1 } }))).toEqual(ok);
      expect((await seed.get(`/steps/${id}`)).body).toEqual([
        {
          workflow_id: id,
          step_number: 1,
          status: "RUNNING",
          input_json: '{"a":1}',
          output_json: null,
          started_at: expect.any(Number),
          completed_at: null,
        },
      ]);
      expect(await seed.post("/steps/fail", step(id, { error: "no" }))).toEqual(ok);
      expect((await seed.get(`/steps/${id}`)).body).toMatchObject([{ status: "FAILED", input_json: '{"a":1}' }]);
      expect((await seed.workflow(id)).current_step).toBe(0);
      expect(await seed.post("/steps/complete", step(id, { input: { a: 1 }, output: [true] }))).toEqual(ok);
      expect((await seed.get(`/steps/${id}`)).body).toMatchObject([
        { status: "COMPLETED", input_json: '{"a":1}', output_json: "[true]", completed_at: expect.any(Number) },
      ]);
      expect(await seed.workflow(id)).toMatchObject({ current_step: 1, version: 3 });
      const done = { status: 409, body: { error: "step already completed" } };
      expect(await seed.post("/steps/complete", step(id, { input: { a: 1 }, output: [true] }))).toEqual(done);
      expect(await seed.post("/steps/complete", step(id, { output: 2 }))).toEqual(done);
      expect(await seed.post("/steps/fail", step(id, { error: "late" }))).toEqual(done);
      expect((await seed.get(`/steps/${id}`)).body).toMatchObject([{ status: "COMPLETED", output_json: "[true]" }]);
      for (const verb of ["start", "complete", "fail"]) {
        const path = `/steps/${verb}`;
        expect(await seed.post(path, step(id, { worker_id: "w2", step_number: 2, error: "e" }))).toEqual(conflict);
        expect(await seed.post(path, step("none", { error: "e" }))).toEqual(unknown);
        expect(await seed.post(path, step(id, { step_number: "1", error: "e" }))).toEqual(bad("step_number"));
        expect(await seed.post(path, step(id, { step_number: 1.5, error: "e" }))).toEqual(bad("step_number"));
      }
      expect(await seed.post("/steps/fail", step(id, { step_number: 2 }))).toEqual(bad("error"));
      expect(await seed.get("/steps/none")).toEqual(unknown);
    });

    test("step numbers of any size, in any order; numbers that JavaScript cannot hold", async () => {
      const id = await held();
      for (const step_number of [2 ** 31, 3, 0, -1, 12_345_678_901]) {
        expect(await seed.post("/steps/complete", step(id, { step_number }))).toEqual(ok);
      }
      const numbers = (await seed.get(`/steps/${id}`)).body.map((each: { step_number: number }) => each.step_number);
      expect(numbers).toEqual([-1, 0, 3, 2 ** 31, 12_345_678_901]);
      const body = `{"workflow_id":"${id}","worker_id":"w1","step_number":7,"output":{"big":12345678901234567890,"one":1.0}}`;
      expect(await seed.post("/steps/complete", body)).toEqual(ok);
      const [seventh] = (await seed.get(`/steps/${id}`)).body.filter(
        (each: { step_number: number }) => each.step_number === 7,
      );
      expect(seventh.output_json).toBe('{"big":12345678901234567890,"one":1.0}');
      expect((await seed.get("/observability/avg-step-duration")).body).toMatchObject({ "-1": expect.any(Number) });
    });

    test("signals: sent, listed, consumed in order; given back when the lease ends without a result", async () => {
      const id = await held();
      const send = (signal_type: string) =>
        seed.post("/signals", { workflow_id: id, signal_type, payload: { signal_type } });
      const sent = (await send("a")).body;
      expect(sent).toEqual({
        signal_id: expect.any(Number),
        workflow_id: id,
        signal_type: "a",
        payload_json: '{"signal_type":"a"}',
        consumed: false,
        created_at: expect.any(Number),
      });
      await send("b");
      const consume = () => seed.post(`/signals/${id}/consume`);
      const open = async () =>
        (await seed.get(`/signals/${id}?unconsumed=true`)).body.map((s: { signal_type: string }) => s.signal_type);
      expect((await consume()).body).toEqual({ ...sent, consumed: true });
      expect(await open()).toEqual(["b"]);
      await seed.post(`/leases/${id}/release`, { worker_id: "w1" });
      expect(await open()).toEqual(["a", "b"]);
      await seed.acquire("w1");
      expect((await consume()).body).toMatchObject({ signal_type: "a" });
      await seed.post("/steps/complete", step(id));
      await seed.post(`/leases/${id}/release`, { worker_id: "w1" });
      expect(await open()).toEqual(["b"]);
      expect((await consume()).body).toMatchObject({ signal_type: "b", consumed: true });
      expect((await consume()).body).toEqual({ status: "no_signal" });
      expect((await seed.get(`/signals/${id}`)).body).toMatchObject([{ consumed: true }, { consumed: true }]);
      expect(await seed.post("/signals/none/consume")).toEqual(unknown);
      expect(await seed.get("/signals/none")).toEqual(unknown);
      expect(await seed.post("/signals", { workflow_id: "none", signal_type: "x" })).toEqual(unknown);
      expect(await seed.post("/signals", { workflow_id: id })).toEqual(bad("signal_type"));
      await seed.acquire("w1");
    });

    test("a signal or a timer wakes who waits; one that came since the acquire does so at once", async () => {
      const id = await held();
      await seed.post(`/workflows/${id}/waiting`, { worker_id: "w1" });
      expect((await seed.acquire("w1")).body).toEqual({ status: "no_work" });
      await seed.post("/signals", { workflow_id: id, signal_type: "go" });
      expect((await seed.workflow(id)).status).toBe("QUEUED");
      await seed.acquire("w1");
      await seed.post("/signals", { workflow_id: id, signal_type: "again" });
      await seed.post(`/workflows/${id}/waiting`, { worker_id: "w1" });
      expect((await seed.workflow(id)).status).toBe("QUEUED");
      await seed.acquire("w1");
      await seed.post(`/workflows/${id}/waiting`, { worker_id: "w1" });
      const timer = await seed.post("/timers", { workflow_id: id, wake_at: now() - 1 });
      expect(timer).toEqual({
        status: 200,
        body: { timer_id: expect.any(Number), workflow_id: id, wake_at: expect.any(Number), fired: false },
      });
      await expect.poll(async () => (await seed.workflow(id)).status).toBe("QUEUED");
      expect(await seed.post("/timers", { workflow_id: "none", wake_at: 0 })).toEqual(unknown);
      expect(await seed.post("/timers", { workflow_id: id, wake_at: "soon" })).toEqual(bad("wake_at"));
      await seed.acquire("w1");
    });

    test("POST /retry: one commit, the history counts, nothing changes when it says false", async () => {
      const id = await held();
      const retry = (more: object = {}) =>
        seed.post("/retry", {
          ...step(id, { retry_count: 1, max_retries: 2, policy: "exponential", base_seconds: 3_600, max_seconds: 0 }),
          ...more,
        });
      expect((await retry({ retry_count: 3 })).body).toEqual({ retry_scheduled: false });
      expect((await seed.workflow(id)).status).toBe("RUNNING");
      expect(await retry({ worker_id: "w2" })).toEqual(conflict);
      expect(await retry({ workflow_id: "none" })).toEqual(unknown);
      expect(await retry({ policy: "hope" })).toEqual(bad("policy"));
      expect(await retry({ base_seconds: undefined, max_retries: "x" })).toEqual(bad("max_retries"));
      expect(await retry({ base_seconds: 1_000_000_000 })).toEqual({ status: 200, body: { retry_scheduled: true } });
      expect(await seed.workflow(id)).toMatchObject({ status: "WAITING", lease_owner: null, lease_expires_at: null });
      expect(await seed.post("/steps/complete", step(id))).toEqual(conflict);
      // A back-off is a back-off: no signal and no lease time shortens it.
      await seed.post("/signals", { workflow_id: id, signal_type: "go" });
      expect((await seed.workflow(id)).status).toBe("WAITING");
      expect((await seed.acquire("w1")).body).toEqual({ status: "no_work" });

      const quick = await held();
      const again = {
        ...step(quick),
        max_retries: 2,
        retry_count: 0,
        policy: "fixed",
        base_seconds: 0,
        max_seconds: 0,
      };
      for (const scheduled of [true, true, false]) {
        expect((await seed.post("/retry", again)).body).toEqual({ retry_scheduled: scheduled });
        if (scheduled) await expect.poll(async () => (await seed.acquire("w1")).body.workflow_id).toBe(quick);
      }
    });

    test("GET /events/{id}: the seed's nine types, numbered without gaps", async () => {
      const id = await held();
      await seed.post("/steps/start", step(id));
      await seed.post("/steps/fail", step(id, { error: "no" }));
      await seed.post("/signals", { workflow_id: id, signal_type: "s" });
      await seed.post("/timers", { workflow_id: id, wake_at: now() - 5 });
      await expect
        .poll(async () =>
          (await seed.get(`/events/${id}`)).body.some((e: { event_type: string }) => e.event_type === "TIMER_FIRED"),
        )
        .toBe(true);
      await seed.post("/steps/complete", step(id));
      await seed.post(`/workflows/${id}/complete`, { worker_id: "w1" });
      const events = (await seed.get(`/events/${id}`)).body;
      expect(events.map((event: { event_type: string }) => event.event_type)).toEqual([
        "WORKFLOW_CREATED",
        "WORKFLOW_STARTED",
        "STEP_STARTED",
        "STEP_FAILED",
        "SIGNAL_RECEIVED",
        "TIMER_FIRED",
        "STEP_COMPLETED",
        "WORKFLOW_COMPLETED",
      ]);
      expect(events.map((event: { sequence_number: number }) => event.sequence_number)).toEqual([
        1, 2, 3, 4, 5, 6, 7, 8,
      ]);
      expect(events[3]).toMatchObject({ payload_json: '{"error":"no"}', workflow_id: id });
      expect(await seed.get("/events/none")).toEqual(unknown);
    });

    test("GET /observability", async () => {
      const failed = await held();
      await seed.post(`/workflows/${failed}/fail`, { worker_id: "w1" });
      const running = await held();
      await seed.create("lies here");
      for (const [status, id] of [
        ["failed", failed],
        ["running", running],
        ["queued", "lies here"],
      ] as const) {
        const { body } = await seed.get(`/observability/${status}`);
        expect(body.count).toBe(body.items.length);
        expect(body.items.map((item: { workflow_id: string }) => item.workflow_id)).toContain(id);
        for (const item of body.items) expect(item.status).toBe(status.toUpperCase());
      }
      expect((await seed.get("/observability/waiting")).body.items).toEqual(expect.any(Array));
      await seed.acquire("w1");
    });

    test("ids of every kind", async () => {
      for (const id of ["a b", "a/b/c", "50%", "%2F", "🐢 żółw", "../x", "__proto__", "?q=1#f", "x".repeat(5_000)]) {
        expect(await seed.create(id)).toMatchObject({ status: 200, body: { workflow_id: id } });
        expect((await seed.acquire("w1")).body).toMatchObject({ workflow_id: id });
        expect(await seed.post("/steps/complete", step(id, { output: id }))).toEqual(ok);
        const encoded = encodeURIComponent(id);
        expect((await seed.get(`/steps/${encoded}`)).body).toMatchObject([{ output_json: JSON.stringify(id) }]);
        expect(await seed.post(`/workflows/${encoded}/complete`, { worker_id: "w1" })).toEqual(ok);
      }
    });

    test("what nobody serves, and what is too much", async () => {
      expect(await seed.get("/workflows")).toEqual({ status: 405, body: { error: expect.any(String) } });
      expect(await seed.call("DELETE", "/workflows/x")).toMatchObject({ status: 405 });
      expect(await seed.get("/workflows/a/b/c")).toEqual(unknown);
      expect(await seed.get("/observability/strange")).toEqual(unknown);
      expect((await seed.get("/nothing/here")).status).toBe(404);
      expect((await seed.get("/nothing/here")).body.error).toEqual(expect.any(String));
      const large = await seed.post("/signals", {
        workflow_id: "x",
        signal_type: "y",
        payload: "z".repeat(messageBytesMax),
      });
      expect(large).toEqual({ status: 413, body: { error: expect.stringContaining("limit") } });
    });
  });
}

test("sixteen clients race for 1,000 workflows: each is granted once; the leases outlive a restart", async () => {
  const db = join(folder, "race.db");
  const server = await ServerProcess.start({ db });
  const seed = new SeedClient(server.url);
  const ids = Array.from({ length: 1_000 }, (_, index) => `r${index}`);
  for (let from = 0; from < ids.length; from += 50)
    await Promise.all(ids.slice(from, from + 50).map((id) => seed.create(id)));
  const granted: string[] = [];
  async function racer(worker: string): Promise<void> {
    for (;;) {
      const { body } = await seed.acquire(worker, { lease_duration: 3_600 });
      if (body.status === "no_work") return;
      granted.push(body.workflow_id);
    }
  }
  await Promise.all(Array.from({ length: 16 }, (_, index) => racer(`racer-${index}`)));
  expect(granted.toSorted()).toEqual(ids.toSorted());
  const { lease_owner: owner } = await seed.workflow("r0");
  await server.signal("SIGKILL");
  const again = await ServerProcess.start({ db });
  const later = new SeedClient(again.url);
  const complete = (worker_id: string) =>
    later.post("/steps/complete", { workflow_id: "r0", worker_id, step_number: 1 });
  expect(await complete("somebody else")).toEqual(conflict);
  expect(await complete(owner)).toEqual(ok);
  await again.signal("SIGTERM");
}, 120_000);
