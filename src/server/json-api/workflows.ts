import type { Change } from "../../core/command.ts";
import type { WorkerClaim } from "../../engine/frames.ts";
import { runIdBytesMax } from "../../limits.ts";
import { checkRunId } from "../validate.ts";
import { type Body, nameOf, optionalIntegerOf, optionalTextOf, readBody, textOf } from "./body.ts";
import { answer, type Exchange, namespace, ok, queue } from "./exchange.ts";
import { workflowOf } from "./views.ts";

/** The lease that the body names: by its holder, and by id and epoch when it shows them. */
export function claimOf(body: Body, runId: string): WorkerClaim {
  return {
    runId,
    workerId: nameOf(body, "worker_id"),
    leaseId: optionalTextOf(body, "lease_id"),
    epoch: optionalIntegerOf(body, "epoch", 0, Number.MAX_SAFE_INTEGER),
  };
}

export function idOf(body: Body): string {
  return checkRunId(textOf(body, "workflow_id", runIdBytesMax), "workflow_id");
}

export async function createWorkflow(exchange: Exchange): Promise<void> {
  const { engine } = exchange;
  const body = await readBody(exchange.request);
  const runId = idOf(body);
  const { run } = await engine.startRun({
    namespace,
    runId,
    workflow: nameOf(body, "workflow_type"),
    queue,
    runKey: "",
    priority: 5,
    input: undefined,
    startDelayMs: 0,
    runTimeoutMs: 0,
    requestId: "",
  });
  answer(exchange, workflowOf(engine, run));
}

export async function getWorkflow(exchange: Exchange): Promise<void> {
  const { engine, id } = exchange;
  answer(exchange, workflowOf(engine, await engine.getRun({ namespace, runId: id })));
}

/** A call by the holder of the lease that ends it with one change. */
function ending(change: Change): (exchange: Exchange) => Promise<void> {
  return async (exchange) => {
    const lease = claimOf(await readBody(exchange.request), exchange.id);
    await exchange.engine.applyClaimed({ namespace, lease, changes: [change] });
    answer(exchange, ok);
  };
}

export const completeWorkflow = ending({ type: "CompleteRun", output: undefined });
export const failWorkflow = ending({
  type: "FailRun",
  failure: { type: "Error", message: "the worker failed the workflow" },
  failedSteps: [],
});
/** Any signal or timer puts it back, and one that came since the acquire does so at once. */
export const markWaiting = ending({ type: "SuspendRun", awaits: [{ kind: "any" }], noticesSeen: 0 });
