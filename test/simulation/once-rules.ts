import type { RunEvent } from "../../src/core/event.ts";

// What was asked once, and asked again because its answer was lost, happened once or not at all (I2): a start, a signal
// and a retry by their request_id, an op of a worker by its number under its lease.

const neverOfApplied: ReadonlySet<string> = new Set(["LEASE_LOST", "OP_OUT_OF_ORDER", "PRECEDING_FAILED"]);

export class OnceRules {
  readonly #requests = new Set<string>();
  /** The commit that has an op. */
  readonly #ops = new Map<string, number>();
  /** Ops that were leave to enter an at-most-once step, and leases that are over. */
  readonly #leaves = new Set<string>();
  readonly #over = new Set<string>();

  event(runId: string, event: RunEvent, commitNo: number): string | undefined {
    if (event.opId !== 0) {
      const op = `${runId} ${event.epoch} ${event.opId}`;
      const first = this.#ops.get(op);
      if (first === undefined) this.#ops.set(op, commitNo);
      else if (first !== commitNo) return `I2 op ${event.opId} is in commits ${first} and ${commitNo}`;
    }
    if (event.type === "LeaseEnded") this.#over.add(`${runId} ${event.epoch}`);
    if (event.type === "StepStarted" && event.detail.atMostOnce)
      this.#leaves.add(`${runId} ${event.epoch} ${event.opId}`);
    switch (event.type) {
      // Starts of one namespace share their request ids; signals and retries are of one run.
      case "RunCreated":
        return this.#first("start", event.detail.requestId);
      case "SignalReceived":
        return this.#first(`signal of ${runId}`, event.detail.requestId);
      case "RunReopened":
        return this.#first(`retry of ${runId}`, event.detail.requestId);
      default:
        return undefined;
    }
  }

  /**
   * An op that was applied is not refused when it comes again: its worker would take it for undone. But leave to enter an
   * at-most-once step is over with the lease.
   */
  refused(runId: string, epoch: number, opId: number, reason: string): string | undefined {
    const op = `${runId} ${epoch} ${opId}`;
    if (!this.#ops.has(op)) return undefined;
    if (reason === "LEASE_LOST" && this.#leaves.has(op) && this.#over.has(`${runId} ${epoch}`)) return undefined;
    return neverOfApplied.has(reason) ? `I2 op ${opId} of ${runId} was applied and is refused ${reason}` : undefined;
  }

  #first(what: string, requestId = ""): string | undefined {
    const request = `${what} ${requestId}`;
    if (requestId === "" || this.#requests.has(request)) return `I2 ${request} again`;
    this.#requests.add(request);
    return undefined;
  }
}
