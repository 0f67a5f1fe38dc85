import type { EventOf, RunEvent } from "../../src/core/event.ts";
import type { LeaseRules } from "./lease-rules.ts";
import { retryDelaysMs } from "./programs.ts";
import type { Requests } from "./requests.ts";

// When things may happen (I8): instants are those that were asked for, attempts follow the asked policy, nothing comes
// before its time and no timer long behind it. Each rule answers with what is broken.

interface Step {
  /** Attempts that have failed. */
  failed: number;
  retryAtMs: number;
  /** The life of the server that planned the retry. */
  life: number;
}

interface Times {
  readonly steps: Map<string, Step>;
  /** When each pending timer is due, in server time. */
  readonly timers: Map<string, number>;
  availableAtMs: number;
  /** A closed run's timers rest until it is opened again. */
  openedMs: number;
  leaseId: string;
  leased: boolean;
  pausedOnRequest: boolean;
  cancelAsked: boolean;
  /** Expiries since the run got on. */
  expiries: number;
}

/** What two clocks and two roundings may differ by. */
const roundMs = 3;
/** Two commits of a quick disk, with room. */
const promptMs = 2_000;

export class TimeRules {
  readonly #runs = new Map<string, Times>();
  readonly #requests: Requests;
  readonly #leases: LeaseRules;
  readonly #nowMs: () => number;
  /** When this life of the server began. */
  lifeMs = 0;

  constructor(requests: Requests, leases: LeaseRules, nowMs: () => number) {
    this.#requests = requests;
    this.#leases = leases;
    this.#nowMs = nowMs;
  }

  /** A result, a consumed signal, a suspend that waits: a crash loop, if there was one, is over. */
  progress(runId: string): void {
    this.#of(runId).expiries = 0;
  }

  event(runId: string, event: RunEvent): string | undefined {
    const run = this.#of(runId);
    switch (event.type) {
      case "RunCreated":
        return this.#created(runId, run, event);
      case "LeaseGranted":
        run.leaseId = event.detail.leaseId;
        run.leased = true;
        return event.atMs < run.availableAtMs ? `I8 granted before ${run.availableAtMs}` : undefined;
      case "LeaseEnded":
        return this.#leaseEnded(run, event);
      case "StepStarted":
        return this.#started(runId, run, event);
      case "StepAttemptFailed":
      case "StepFailed":
        return this.#attemptFailed(runId, run, event);
      case "StepCompleted":
        return this.#attempt(run, event, event.detail?.attempt ?? 1);
      case "TimerSet":
        return this.#timerSet(runId, run, event);
      case "SignalConsumed":
      case "TimerCancelled":
        run.timers.delete(event.stepKey);
        return undefined;
      case "TimerFired":
        return this.#timerFired(run, event);
      case "RetryDue": {
        const { retryAtMs = Number.POSITIVE_INFINITY } = run.steps.get(event.stepKey) ?? {};
        return event.atMs < retryAtMs ? `I8 the retry is due at ${retryAtMs}` : undefined;
      }
      case "CancelRequested":
        run.cancelAsked = true;
        if (!run.leased) run.availableAtMs = 0;
        return undefined;
      case "RunPaused":
        run.pausedOnRequest = event.detail.reason === "REQUESTED";
        return undefined;
      case "RunResumed":
        // One that is to be cancelled is not kept waiting.
        if (!run.pausedOnRequest || run.cancelAsked) run.availableAtMs = 0;
        return undefined;
      case "RunReopened":
        run.availableAtMs = 0;
        run.cancelAsked = false;
        run.openedMs = this.#nowMs();
        for (const key of event.detail.voidedSteps) run.steps.delete(key);
        return undefined;
      default:
        return undefined;
    }
  }

  #created(runId: string, run: Times, event: EventOf<"RunCreated">): string | undefined {
    const { availableAtMs = event.atMs } = event.detail;
    run.availableAtMs = availableAtMs;
    const { startDelayMs = 0 } = this.#requests.startOf(runId) ?? {};
    return availableAtMs === event.atMs + startDelayMs ? undefined : `I8 asked to start after ${startDelayMs} ms`;
  }

  /** The first expiry puts the run back at once, later ones after 1 s, 2 s, 4 s, up to a minute. */
  #leaseEnded(run: Times, event: EventOf<"LeaseEnded">): string | undefined {
    const { reason, availableAtMs = event.atMs } = event.detail;
    run.leased = false;
    run.availableAtMs = availableAtMs;
    let delayMs = 0;
    // A Hello that does not list the lease gives it up at once, also one whose release was refused.
    if (reason === "RELEASED" && availableAtMs === event.atMs && this.#leases.givenUp.has(run.leaseId))
      return undefined;
    if (reason === "RELEASED") delayMs = this.#requests.retryAfterMs(run.leaseId);
    if (reason === "EXPIRED") {
      for (let expiry = 0; expiry < run.expiries; expiry++)
        delayMs = Math.min(60_000, expiry === 0 ? 1_000 : delayMs * 2);
      run.expiries += 1;
    }
    return availableAtMs === event.atMs + delayMs
      ? undefined
      : `I8 ended ${reason}, it comes back after ${availableAtMs - event.atMs} ms, not ${delayMs}`;
  }

  #started(runId: string, run: Times, event: EventOf<"StepStarted">): string | undefined {
    const { attempt, atMostOnce = false, timeoutMs } = event.detail;
    const once = this.#requests.op(runId, event.stepKey)?.do === "once";
    if (atMostOnce !== once || timeoutMs !== undefined) return "I8 not the start that was asked for";
    return this.#attempt(run, event, attempt);
  }

  /** Attempts follow each other, and none begins before its time. */
  #attempt(run: Times, { stepKey, startedAtMs }: RunEvent, attempt: number): string | undefined {
    const { failed, retryAtMs, life } = this.#step(run, stepKey);
    if (attempt !== failed + 1) return `I4 attempt ${attempt} follows ${failed}`;
    // A server that comes back behind a clock that was set back does not count the time that it was away.
    if (life !== this.#leases.life || startedAtMs >= retryAtMs - roundMs) return undefined;
    return `I8 begun at ${startedAtMs}, ${retryAtMs} was planned`;
  }

  #attemptFailed(
    runId: string,
    run: Times,
    event: EventOf<"StepAttemptFailed"> | EventOf<"StepFailed">,
  ): string | undefined {
    const { stepKey } = event;
    const { attempt } = event.detail;
    const broken = this.#attempt(run, event, attempt);
    if (broken !== undefined) return broken;
    const step = this.#step(run, stepKey);
    step.failed = attempt;
    step.life = this.#leases.life;
    const op = this.#requests.op(runId, stepKey);
    if (event.type === "StepAttemptFailed" && event.epoch === 0) {
      // An operator has an uncertain step repeated; there is no policy to ask.
      step.retryAtMs = event.detail.retryAtMs;
      return op?.do === "once" && step.retryAtMs === event.atMs ? undefined : "I8 repeated at its time";
    }
    if (op === undefined || (op.do !== "step" && op.do !== "caught")) return "I4 such a step never fails";
    if (op.do === "step" && attempt > op.fails) return `I4 attempt ${attempt} does not fail`;
    if (event.type === "StepFailed")
      return attempt === op.attempts ? undefined : `I4 ${op.attempts} attempts were asked for`;
    step.retryAtMs = event.detail.retryAtMs;
    if (attempt >= op.attempts) return `I4 only ${op.attempts} attempts were asked for`;
    const [leastMs, mostMs] = retryDelaysMs(op, attempt);
    const delayMs = step.retryAtMs - event.atMs;
    return delayMs >= leastMs && delayMs <= mostMs
      ? undefined
      : `I8 tried again after ${delayMs} ms, not ${leastMs} to ${mostMs}`;
  }

  #timerSet(runId: string, run: Times, event: EventOf<"TimerSet">): string | undefined {
    const { firesAtMs, signalName = "" } = event.detail;
    run.timers.set(event.stepKey, firesAtMs);
    const op = this.#requests.op(runId, event.stepKey);
    const asked =
      op?.do === "sleep"
        ? firesAtMs === event.atMs + op.ms && signalName === ""
        : op?.do === "signal" && firesAtMs === event.atMs + op.timeoutMs && signalName === op.name;
    return asked ? undefined : `I8 set for ${firesAtMs - event.atMs} ms, asked was ${JSON.stringify(op)}`;
  }

  #timerFired(run: Times, event: RunEvent): string | undefined {
    const firesAtMs = run.timers.get(event.stepKey);
    run.timers.delete(event.stepKey);
    if (firesAtMs === undefined || event.atMs < firesAtMs) return `I8 due at ${firesAtMs}`;
    const nowMs = this.#nowMs();
    const dueMs = nowMs - (event.atMs - firesAtMs);
    const lateMs = nowMs - Math.max(dueMs, this.lifeMs, run.openedMs, this.#leases.disturbedUntilMs);
    return lateMs > promptMs ? `I8 fired ${Math.round(lateMs)} ms late` : undefined;
  }

  #step(run: Times, stepKey: string): Step {
    let step = run.steps.get(stepKey);
    if (step === undefined) {
      step = { failed: 0, retryAtMs: 0, life: 0 };
      run.steps.set(stepKey, step);
    }
    return step;
  }

  #of(runId: string): Times {
    let run = this.#runs.get(runId);
    if (run === undefined) {
      run = {
        steps: new Map(),
        timers: new Map(),
        availableAtMs: 0,
        openedMs: 0,
        leaseId: "",
        leased: false,
        pausedOnRequest: false,
        cancelAsked: false,
        expiries: 0,
      };
      this.#runs.set(runId, run);
    }
    return run;
  }
}
