// Bugs of the kind that engines like this one have had, the twelve of the reliability table first, then seven that
// readers found the simulator blind for, with the rule that each brought; each a change of one line in the code that ships. They
// are applied to copies of the tree only; plants.test.ts says when a change of the sources has disarmed one.

export interface Plant {
  readonly name: string;
  readonly file: string;
  /** Found exactly once in the file. */
  readonly from: string;
  readonly to: string;
}

export const plants: readonly Plant[] = [
  {
    name: "ack before commit",
    file: "src/engine/writer.ts",
    from: "    committing.push(batch);",
    to: "    committing.push(batch); runCallbacks(batch); batch.callbacks.length = 0;",
  },
  {
    name: "epoch <= instead of the lease's own",
    file: "src/core/decide-lease.ts",
    from: "  return state.lease !== undefined && state.lease.leaseId === lease.leaseId && state.lease.epoch === lease.epoch;",
    to: "  return state.lease !== undefined && lease.epoch <= state.lease.epoch;",
  },
  {
    name: "timers are not armed again at a restart",
    file: "src/engine/deadlines.ts",
    from: "      loaded = false;",
    to: "      loaded = complete = true;",
  },
  {
    name: "an undelivered assignment is dropped",
    file: "src/engine/session.ts",
    from: `    if (stream?.welcomed !== true || stream.ended || this.phase !== "active") return false;`,
    to: `    if (stream?.welcomed !== true || stream.ended || this.phase !== "active") return true;`,
  },
  {
    name: "deliveries count on failure only",
    file: "src/core/evolve.ts",
    from: "  if (detail.uncounted === true) state.deliveries = Math.max(0, state.deliveries - 1);",
    to: `  if (detail.uncounted === true || detail.reason === "EXPIRED") state.deliveries = Math.max(0, state.deliveries - 1);`,
  },
  {
    name: "an old stream's end detaches the new one",
    file: "src/engine/session.ts",
    from: "    if (this.stream !== stream) return;",
    to: "    if (this.stream === undefined) return;",
  },
  {
    name: "answers are updated before the commit",
    file: "src/engine/run-view.ts",
    from: `kernel.runs.peek(row.runNo)?.durable : undefined;`,
    to: `kernel.runs.peek(row.runNo)?.state : undefined;`,
  },
  {
    name: "a completion is not idempotent",
    file: "src/core/decide-step.ts",
    from: "    if (samePayload(context.stored(step.seq), change.output)) {",
    to: "    if (change.output === undefined) {",
  },
  {
    name: "a refill ignores grants that are not durable",
    file: "src/engine/lines.ts",
    from: "      heads = rows.filter((row) => !changes.has(row.runNo));",
    to: "      heads = [...rows];",
  },
  {
    name: "a refusal does not wait for its batch",
    file: "src/engine/writer.ts",
    from: "      open.after(() => work.refuse(refusal));",
    to: "      work.refuse(refusal);",
  },
  {
    name: "the wall clock ends leases",
    file: "src/engine/lease-life.ts",
    from: "  const { clock } = kernel;",
    to: "  const aheadMs = kernel.clock.wallMs() - kernel.clock.elapsedMs(); const clock = { elapsedMs: () => kernel.clock.wallMs() - aheadMs };",
  },
  {
    name: "two owners at one epoch",
    file: "src/core/decide-lease.ts",
    from: `  events.push(next("LeaseGranted", detail, { epoch: state.epoch + 1 }));`,
    to: `  events.push(next("LeaseGranted", detail, { epoch: Math.max(1, state.epoch) }));`,
  },
  {
    name: "the first signal wakes nobody",
    file: "src/core/evolve-wait.ts",
    from: `  if (state.status === "WAITING" && awaitsSignal(state, name)) enqueue(state, event.atMs);`,
    to: `  if (state.status === "WAITING" && awaitsSignal(state, name) && state.signals.length > 1) enqueue(state, event.atMs);`,
  },
  // I7: nobody asked to terminate it.
  {
    name: "an expired lease terminates the run",
    file: "src/core/decide-lease.ts",
    from: "  } else if (state.pauseDeadlineAtMs !== 0) {",
    to: `  } else if (end.reason === "EXPIRED") events.push(next("RunTerminated", {})); else if (state.pauseDeadlineAtMs !== 0) {`,
  },
  // I8: a timer is set for the delay that was asked for.
  {
    name: "a timer is set for half of its delay",
    file: "src/core/decide-wait.ts",
    from: "  const firesAtMs = context.nowMs + change.delayMs;",
    to: "  const firesAtMs = context.nowMs + Math.floor(change.delayMs / 2);",
  },
  // I8: the delay between two attempts is that of the policy.
  {
    name: "a retry does not back off",
    file: "src/core/decide-step.ts",
    from: "  const retryAtMs = context.nowMs + delayMs;",
    to: "  const retryAtMs = context.nowMs;",
  },
  // I4: no more attempts than were asked for.
  {
    name: "attempts have no limit",
    file: "src/core/backoff.ts",
    from: "  if (effective.maxAttempts > 0 && attempt >= effective.maxAttempts) return undefined;",
    to: "  if (effective.maxAttempts < 0 && attempt >= effective.maxAttempts) return undefined;",
  },
  // I9: a run is set aside when its budget is spent, and not before.
  {
    name: "the delivery budget is one too small",
    file: "src/core/decide-lease.ts",
    from: "  const spent = deliveries >= context.limits.deliveriesMax;",
    to: "  const spent = deliveries >= context.limits.deliveriesMax - 1;",
  },
  // I2: the same request_id has one effect.
  {
    name: "a repeated retry opens the run again",
    file: "src/core/decide-run.ts",
    from: `  if (command.requestId !== "" && state.retryRequests.has(command.requestId)) return alreadyApplied();`,
    to: `  if (command.requestId === "" && state.retryRequests.has(command.requestId)) return alreadyApplied();`,
  },
];
