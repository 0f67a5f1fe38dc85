import { nameOf, readBody, secondsOf } from "./body.ts";
import { answer, type Exchange, namespace, ok, queue } from "./exchange.ts";
import { workflowOf } from "./views.ts";
import { claimOf } from "./workflows.ts";

// Leases by the name of their worker. `lease_id` and `epoch` of an acquire may be sent back with any later call: then a
// worker that was away too long is refused even when another one of its name holds the workflow by now.

export async function acquireLease(exchange: Exchange): Promise<void> {
  const { engine, response } = exchange;
  const body = await readBody(exchange.request);
  const workerId = nameOf(body, "worker_id");
  const leaseTtlMs = secondsOf(body, "lease_duration");
  // A grant whose caller is gone is taken back.
  const gone = new AbortController();
  const close = () => {
    if (!response.writableEnded) gone.abort();
  };
  response.once("close", close);
  const assignment = await engine.acquireLease(
    { namespace, queues: [queue], workflows: [], workerId, requestId: "", waitMs: 0, leaseTtlMs },
    gone.signal,
  );
  if (assignment === undefined) return answer(exchange, { status: "no_work" });
  const { runId, leaseId, epoch } = assignment.lease;
  const run = await engine.getRun({ namespace, runId });
  answer(exchange, { ...workflowOf(engine, run), lease_id: leaseId, epoch });
}

export async function renewLease(exchange: Exchange): Promise<void> {
  const body = await readBody(exchange.request);
  const lease = claimOf(body, exchange.id);
  await exchange.engine.renewLease({ namespace, lease, leaseTtlMs: secondsOf(body, "lease_duration") });
  answer(exchange, ok);
}

export async function releaseLease(exchange: Exchange): Promise<void> {
  const lease = claimOf(await readBody(exchange.request), exchange.id);
  await exchange.engine.releaseLease({ namespace, lease, retryAfterMs: 0 });
  answer(exchange, ok);
}
