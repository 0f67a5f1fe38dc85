import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { Message } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { type WorkerFrame, WorkerFrameSchema } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { createEngine, createServer } from "../../src/index.ts";
import { verifyFile } from "../../src/store/sqlite/verify.ts";
import { RawSession, type WorkerFrameInit } from "../support/raw-session.ts";
import { assertCases, times } from "./cases.ts";
import { messageOf } from "./messages.ts";

// Messages that are well formed and say anything: each is carried out or refused with a reason, and the server goes on.

let folder: string;
let url: string;
let stop: () => Promise<void>;
const fatal: string[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "everstep-hostile-"));
  const engine = await createEngine({ path: join(folder, "everstep.db"), onFatal: (message) => fatal.push(message) });
  const server = createServer(engine, { port: 0 });
  ({ url } = await server.listen());
  stop = async () => {
    await server.close(100);
    await engine.stop();
  };
});
afterAll(async () => {
  await stop();
  rmSync(folder, { recursive: true });
});

/** Answers that blame the server. */
const faults = [Code.Internal, Code.Unknown, Code.DataLoss];

for (const service of [RunService, LeaseService]) {
  for (const method of Object.values(service.method)) {
    test(`${service.name}.${method.name} of any content`, { timeout: 60_000 * times }, async () => {
      const client = createClient(service as typeof RunService, createGrpcTransport({ baseUrl: url }));
      const call = client[method.localName as keyof Client<typeof RunService>] as (
        request: Message,
        options: object,
      ) => Promise<unknown> & AsyncIterable<unknown>;
      await assertCases(
        fc.asyncProperty(messageOf(method.input), async (request) => {
          try {
            // What would wait, is not waited for.
            const answer = call(request, { timeoutMs: 50 });
            if (method.methodKind === "unary") await answer;
            else for await (const _ of answer);
          } catch (error) {
            const { code, message } = ConnectError.from(error);
            expect(faults.includes(code), message).toBe(false);
          }
        }),
        { numRuns: 30, limitMs: 5_000 },
      );
      expect(fatal).toEqual([]);
    });
  }
}

test("frames of any content, in a session that holds leases", { timeout: 60_000 * times }, async () => {
  const runs = createClient(RunService, createGrpcTransport({ baseUrl: url }));
  let sessions = 0;
  await assertCases(
    fc.asyncProperty(fc.gen(), async (pick) => {
      const queue = `fuzzed-queue-${++sessions}`;
      const session = new RawSession(url);
      session.hello({ workerInstanceId: queue, queues: [queue], capacity: 5 });
      const { run } = await runs.startRun({ workflow: "w", queue });
      const { assignments } = await session.next("assign");
      const lease = assignments[0]?.lease;
      if (lease === undefined) throw new Error("nothing was assigned");
      const frame = messageOf(WorkerFrameSchema, { [lease.$typeName]: [lease] });
      for (let count = 0; count < 20; count++) {
        const { frame: any } = pick(() => frame) as WorkerFrame;
        if (any.case !== undefined && any.case !== "goodbye") session.send(any as WorkerFrameInit);
      }
      session.closeSending();
      await session.end();
      if (session.error !== undefined) {
        const { code, message } = ConnectError.from(session.error);
        expect(faults.includes(code), message).toBe(false);
      }
      // The run is whole whatever was said of it.
      expect((await runs.getRun({ runId: run!.runId })).run?.runId).toBe(run!.runId);
    }),
    { numRuns: 60, limitMs: 20_000 },
  );
  expect(fatal).toEqual([]);
});

test("the file that came of it follows from its events", async () => {
  const problems: string[] = [];
  const { runs } = await verifyFile(join(folder, "everstep.db"), {
    onProblem: ({ runId, seq, message }) => problems.push(`${runId} seq ${seq}: ${message}`),
  });
  expect(problems).toEqual([]);
  expect(runs).toBeGreaterThan(0);
});
