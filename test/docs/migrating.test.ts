import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Client } from "../../clients/typescript/src/client.ts";
import { Worker } from "../../clients/typescript/src/worker.ts";
import { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { WorkerService } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { seedTables } from "../../src/store/import/seed-tables.ts";
import { root } from "../support/server-process.ts";

// The page for people who migrate: it names everything that they had, and what it names exists.

const page = readFileSync(join(root, "docs", "migrating.md"), "utf8");

/** Everything that the predecessor's reference lists, as its tables list it. */
const methods = [
  "New(dbPath)",
  "Close()",
  "DB()",
  "CreateWorkflow(id, type)",
  "GetWorkflow(id)",
  "CompleteWorkflow(id, worker)",
  "FailWorkflow(id, worker)",
  "MarkWaiting(id, worker)",
  "AcquireLease(worker, duration)",
  "RenewLease(id, worker, duration)",
  "ReleaseLease(id, worker)",
  "StartStep(id, worker, step, input)",
  "CompleteStep(id, worker, step, input, output)",
  "FailStep(id, worker, step, input, err)",
  "GetSteps(id)",
  "SendSignal(id, type, payload)",
  "ConsumeSignal(id)",
  "GetSignals(id, unconsumedOnly)",
  "CreateTimer(id, wakeAt)",
  "GetPendingTimers(id)",
  "RetryStep(id, worker, step, count, cfg)",
  "FixedBackoff",
  "LinearBackoff",
  "ExponentialBackoff",
  "NewScheduler(engine, interval)",
  "Run(ctx)",
  "Tick()",
  "QueryFailed()",
  "QueryRunning()",
  "QueryQueued()",
  "QueryWaiting()",
  "AvgStepDuration()",
  "GetEvents(id)",
  "createWorkflow(id, type)",
  "getWorkflow(id)",
  "completeWorkflow(id, worker)",
  "failWorkflow(id, worker)",
  "markWaiting(id, worker)",
  "acquireLease(cfg)",
  "renewLease(id, cfg)",
  "releaseLease(id, worker)",
  "startStep(id, worker, step, input)",
  "completeStep(id, worker, step, input, output)",
  "failStep(id, worker, step, input, error)",
  "getSteps(id)",
  "sendSignal(id, type, payload)",
  "consumeSignal(id)",
  "getSignals(id, unconsumedOnly)",
  "createTimer(id, wakeAt)",
  "retryStep(id, worker, step, count, cfg)",
  "getEvents(id)",
  "queryFailed()",
  "queryRunning()",
  "queryQueued()",
  "queryWaiting()",
  "avgStepDuration()",
  "Workflow",
  "WorkflowEvent",
  "WorkflowStep",
  "Signal",
  "Timer",
  "RetryConfig",
  "LeaseConfig",
  "ClientOptions",
  "WorkflowStatus",
];
const flags = ["-db", "-addr", "-tick", "-lease", "-api-key"];

const rows = page.split("\n").filter((line) => line.startsWith("| "));

test("every method, type and flag of the predecessor has a row", () => {
  const firsts = rows.map((line) => (line.split("|")[1] as string).trim());
  const missing = [...methods, ...flags].filter((name) => !firsts.some((first) => first.includes(`\`${name}\``)));
  expect(missing).toEqual([]);
});

test("every RPC and every call of the SDK that is named exists", () => {
  const rpcs = new Set(
    [RunService, LeaseService, WorkerService].flatMap((service) =>
      service.methods.map(({ name }) => `${service.name}.${name}`),
    ),
  );
  const named = [...page.matchAll(/\b(?:Run|Lease|Worker)Service\.\w+/g)].map(([text]) => text);
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((name) => !rpcs.has(name))).toEqual([]);
  const calls = (object: string) => [...page.matchAll(new RegExp(`\\b${object}\\.([a-z]\\w*)`, "g"))].map((m) => m[1]);
  expect(calls("client").filter((name) => !((name as string) in Client.prototype))).toEqual([]);
  expect(calls("worker").filter((name) => !((name as string) in Worker.prototype))).toEqual([]);
});

test("the layout of the old file is written down as the import reads it", () => {
  for (const [table, columns] of Object.entries(seedTables)) {
    expect(rows).toContain(`| \`${table}\` | ${columns.map((column) => `\`${column}\``).join(", ")} |`);
  }
});
