import type { EventOf, PauseReason, RunEvent } from "../../src/core/event.ts";
import { deliveriesMax } from "../../src/limits.ts";
import type { RunRow } from "../../src/store/store.ts";
import type { LeaseRules } from "./lease-rules.ts";
import { endsOf, graceMs } from "./programs.ts";
import type { Requests } from "./requests.ts";

// Why a run may end and why it may be set aside (I7): because somebody asked for it, because its time is over, because
// it was granted too often, because nobody knows what became of a step. Each rule answers with what is broken.

interface Life {
  cancelDueMs: number | undefined;
  cancelDelivered: boolean;
  pauseDueMs: number | undefined;
  pauseAskedAtMs: number;
  /** Pauses that somebody's word has begun. */
  pauses: number;
  resumes: number;
  paused: PauseReason | undefined;
  leaseId: string;
  leased: boolean;
  granted: boolean;
  /** The event before ended the lease for the server's own reasons. */
  revoked: boolean;
  timeoutAtMs: number | undefined;
  end: RunEvent["type"] | undefined;
  /** At-most-once steps that were begun and not reported. */
  readonly uncertain: Set<string>;
  readonly failed: Set<string>;
  failedSteps: readonly string[];
}

const statusOf: Partial<Record<RunEvent["type"], RunRow["status"]>> = {
  RunCompleted: "COMPLETED",
  RunFailed: "FAILED",
  RunCancelled: "CANCELLED",
  RunTerminated: "TERMINATED",
};

export class EndRules {
  readonly #lives = new Map<string, Life>();
  readonly #requests: Requests;
  readonly #leases: LeaseRules;

  constructor(requests: Requests, leases: LeaseRules) {
    this.#requests = requests;
    this.#leases = leases;
  }

  /** An event that becomes durable. `facts` are the types and step keys of those before it. */
  event(runId: string, event: RunEvent, facts: ReadonlySet<string>): string | undefined {
    const life = this.#of(runId);
    const broken = this.#judge(runId, life, event, facts);
    life.revoked = event.type === "LeaseEnded" && event.detail.reason === "REVOKED";
    const end = statusOf[event.type];
    if (end !== undefined) life.end = event.type;
    if (end !== undefined || event.type === "RunReopened") {
      life.paused = life.pauseDueMs = life.cancelDueMs = undefined;
      life.cancelDelivered = false;
    }
    return broken;
  }

  #judge(runId: string, life: Life, event: RunEvent, facts: ReadonlySet<string>): string | undefined {
    if (life.revoked && statusOf[event.type] === undefined && event.type !== "RunPaused")
      return "I5 a lease was revoked, and the run goes on";
    switch (event.type) {
      case "RunCreated":
        life.timeoutAtMs = event.detail.timeoutAtMs;
        return this.#timeout(runId, event);
      case "LeaseGranted":
        life.leased = life.granted = true;
        life.leaseId = event.detail.leaseId;
        if (life.paused !== undefined) return "I7 a grant of a run that is paused";
        return life.uncertain.size > 0 ? "I4 a grant while an at-most-once step is uncertain" : undefined;
      case "LeaseEnded":
        life.leased = false;
        return undefined;
      case "StepStarted":
        if (this.#requests.op(runId, event.stepKey)?.do === "once") life.uncertain.add(event.stepKey);
        return life.pauseDueMs !== undefined && event.startedAtMs > life.pauseAskedAtMs
          ? "I7 a new step of a run that is being paused"
          : undefined;
      case "StepFailed":
        life.failed.add(event.stepKey);
        return undefined;
      case "StepCompleted":
        life.uncertain.delete(event.stepKey);
        return undefined;
      case "StepAttemptFailed":
        life.uncertain.delete(event.stepKey);
        if (event.epoch === 0 && !this.#requests.wished(runId, "resume", "repeat"))
          return "I4 repeated, and nobody asked for it";
        return undefined;
      case "CancelRequested":
      case "CancelDelivered":
        return this.#cancel(runId, life, event);
      case "PauseRequested":
        life.pauseDueMs = event.detail.deadlineAtMs;
        life.pauseAskedAtMs = event.atMs;
        if (event.detail.deadlineAtMs !== event.atMs + graceMs) return "I8 not the grace that was asked for";
        return this.#pauseAsked(runId, life);
      case "RunPaused":
        return this.#paused(runId, life, event);
      case "RunResumed":
        life.resumes += 1;
        if (life.paused === undefined || life.resumes > this.#requests.wishes(runId, "resume"))
          return "I7 nobody asked to resume it";
        life.paused = undefined;
        return undefined;
      case "RunCompleted":
        return this.#completed(runId, event, facts);
      case "RunFailed":
        return this.#failed(life, event);
      case "RunCancelled":
        return this.#cancelled(runId, life, event);
      case "RunTerminated":
        return this.#requests.wishes(runId, "terminate") === 0 ? "I7 nobody asked to terminate it" : undefined;
      case "RunReopened":
        return this.#reopened(runId, life, event);
      default:
        return undefined;
    }
  }

  #cancel(
    runId: string,
    life: Life,
    event: EventOf<"CancelRequested"> | EventOf<"CancelDelivered">,
  ): string | undefined {
    const asked = event.type === "CancelRequested";
    if (asked ? life.cancelDueMs !== undefined : life.cancelDueMs === undefined || life.cancelDelivered)
      return "I2 a cancel has one effect";
    life.cancelDueMs = event.detail.deadlineAtMs;
    // Who holds the run is told by a notice; without a holder the grace begins again with the first grant.
    life.cancelDelivered = !asked || life.leased;
    if (event.detail.deadlineAtMs !== event.atMs + graceMs) return "I8 not the grace that was asked for";
    return this.#requests.wishes(runId, "cancel") === 0 ? "I7 nobody asked to cancel it" : undefined;
  }

  #cancelled(runId: string, life: Life, event: RunEvent): string | undefined {
    if (life.cancelDueMs === undefined) return "I7 no cancel was requested";
    const { paused, leaseId, uncertain } = life;
    const atOnce =
      !life.granted ||
      paused === "DELIVERY_BUDGET" ||
      paused === "UNCERTAIN_EFFECT" ||
      uncertain.size > 0 ||
      this.#leases.deliveries(runId) >= deliveriesMax ||
      this.#requests.changed(leaseId, "CancelledRun");
    return atOnce || event.atMs >= life.cancelDueMs ? undefined : `I8 its grace ends at ${life.cancelDueMs}`;
  }

  #pauseAsked(runId: string, life: Life): string | undefined {
    life.pauses += 1;
    return life.pauses > this.#requests.wishes(runId, "pause") ? "I7 nobody asked to pause it" : undefined;
  }

  #paused(runId: string, life: Life, event: EventOf<"RunPaused">): string | undefined {
    const { reason } = event.detail;
    const { pauseDueMs } = life;
    life.paused = reason;
    life.pauseDueMs = undefined;
    if (life.leased) return "I7 paused while it is leased";
    if (life.revoked && (pauseDueMs === undefined || event.atMs < pauseDueMs))
      return `I8 its grace ends at ${pauseDueMs}`;
    switch (reason) {
      case "REQUESTED":
        return pauseDueMs === undefined ? this.#pauseAsked(runId, life) : undefined;
      case "DELIVERY_BUDGET": {
        const deliveries = this.#leases.deliveries(runId);
        return deliveries < deliveriesMax ? `I9 its budget is spent after ${deliveries} grants` : undefined;
      }
      case "UNCERTAIN_EFFECT":
        return life.uncertain.size === 0 ? "I4 no at-most-once step is uncertain" : undefined;
      case "CORRUPT_HISTORY":
        return "I6 no history is corrupt here";
    }
  }

  /** The results of its program in order, and behind its waits. */
  #completed(runId: string, event: RunEvent, facts: ReadonlySet<string>): string | undefined {
    const { program = [] } = this.#requests.startOf(runId) ?? {};
    const { results, waits } = endsOf(program);
    const keys = (JSON.parse(String(event.payload?.data)) as string[]).map((result) => result.split(" ")[0]);
    if (keys.join() !== results.join()) return `I4 it ends with ${keys}, its program with ${results}`;
    const open = waits.find((key) => !facts.has(`TimerFired ${key}`) && !facts.has(`SignalConsumed ${key}`));
    return open === undefined ? undefined : `I8 it ends before its wait ${open}`;
  }

  #failed(life: Life, event: EventOf<"RunFailed">): string | undefined {
    const { failure, failedSteps = [] } = event.detail;
    life.failedSteps = failedSteps;
    if (event.epoch === 0) {
      if (failure.type !== "RunTimeout") return "I7 nobody asked to fail it";
      return life.timeoutAtMs === undefined || event.atMs < life.timeoutAtMs
        ? `I8 its time ends at ${life.timeoutAtMs}`
        : undefined;
    }
    // That the holder asked for it is judged for all events of a lease. These programs fail by their steps only.
    return failedSteps.length > 0 && failedSteps.every((key) => life.failed.has(key))
      ? undefined
      : "I7 it fails, and no step has failed for good";
  }

  #reopened(runId: string, life: Life, event: EventOf<"RunReopened">): string | undefined {
    const { voidedSteps, requestId = "", timeoutAtMs } = event.detail;
    if (voidedSteps.join() !== life.failedSteps.join()) return `I7 it failed by ${life.failedSteps}`;
    for (const key of voidedSteps) life.failed.delete(key);
    life.end = undefined;
    life.timeoutAtMs = timeoutAtMs;
    if (!this.#requests.wished(runId, "retry", requestId)) return "I7 nobody asked to retry it";
    return this.#timeout(runId, event);
  }

  #timeout(runId: string, event: EventOf<"RunCreated"> | EventOf<"RunReopened">): string | undefined {
    const runTimeoutMs = this.#requests.startOf(runId)?.runTimeoutMs ?? 0;
    const timeoutAtMs = runTimeoutMs === 0 ? undefined : event.atMs + runTimeoutMs;
    return event.detail.timeoutAtMs === timeoutAtMs ? undefined : `I8 its time ends at ${timeoutAtMs}`;
  }

  /** A durable row, when all of its batch was told. */
  row(runId: string, { status }: RunRow): string | undefined {
    const { end, leased, paused } = this.#of(runId);
    const expected =
      (end === undefined ? undefined : statusOf[end]) ?? (paused !== undefined ? "PAUSED" : leased ? "RUNNING" : "");
    if (status === expected || (expected === "" && (status === "QUEUED" || status === "WAITING"))) return undefined;
    return `I6 its row is ${status}, by its events it is ${expected === "" ? "QUEUED or WAITING" : expected}`;
  }

  #of(runId: string): Life {
    let life = this.#lives.get(runId);
    if (life === undefined) {
      life = {
        cancelDueMs: undefined,
        cancelDelivered: false,
        pauseDueMs: undefined,
        pauseAskedAtMs: 0,
        pauses: 0,
        resumes: 0,
        paused: undefined,
        leaseId: "",
        leased: false,
        granted: false,
        revoked: false,
        timeoutAtMs: undefined,
        end: undefined,
        uncertain: new Set(),
        failed: new Set(),
        failedSteps: [],
      };
      this.#lives.set(runId, life);
    }
    return life;
  }
}
