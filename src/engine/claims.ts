import { EngineError, refuse } from "../core/errors.ts";
import type { LeaseHandle, WorkerClaim } from "./frames.ts";
import type { Kernel } from "./kernel.ts";
import { existingRun } from "./run-commands.ts";

// From the name of a worker to the lease that it holds. Called inside the writer, so that nothing comes between the
// question and the decision.

/** The handle itself, or the live lease of the run when the named worker holds it. Throws LEASE_LOST, RUN_NOT_FOUND. */
export function resolveLease(kernel: Kernel, namespace: string, lease: LeaseHandle | WorkerClaim): LeaseHandle {
  if (!("workerId" in lease)) return lease;
  const { state } = existingRun(kernel, { namespace, runId: lease.runId });
  const held = state.lease;
  if (held === undefined) {
    throw new EngineError(refuse("LEASE_LOST", `nobody holds this run: it is ${state.status}`, { field: "worker_id" }));
  }
  if (held.workerId !== lease.workerId) {
    throw new EngineError(refuse("LEASE_LOST", "another worker holds this run", { field: "worker_id" }));
  }
  const { leaseId, epoch } = held;
  if ((lease.leaseId !== "" && lease.leaseId !== leaseId) || (lease.epoch !== 0 && lease.epoch !== epoch)) {
    throw new EngineError(refuse("LEASE_LOST", "this worker holds the run under a later lease", { field: "lease_id" }));
  }
  return { runId: lease.runId, leaseId, epoch };
}
