import type { Refusal } from "../../src/core/errors.ts";
import type { Engine, RunView, StartOutcome } from "../../src/engine/api.ts";
import { judgeRefusal } from "./answers.ts";
import type { Answer, Calls } from "./calls.ts";
import type { Chance } from "./chance.ts";
import type { Checker } from "./checker.ts";
import type { Fired } from "./fired.ts";
import type { Choice } from "./plan.ts";
import { judgeView } from "./readers.ts";
import { graceMs } from "./programs.ts";
import type { Process } from "./timeline.ts";

// What clients and operators ask for, and what each answer must be: about something durable.

const namespace = "default";

export type Steer = "cancel" | "terminate" | "pause" | "resume" | "retry" | "get";
type Start = Extract<Choice, { kind: "start" }>;

export class Clients {
  readonly process: Process;
  readonly #calls: Calls;
  readonly #checker: Checker;
  readonly #net: Chance;
  readonly #fired: Fired;
  /** Calls that were not answered yet. */
  open = 0;

  constructor(process: Process, calls: Calls, checker: Checker, net: Chance, fired: Fired) {
    this.process = process;
    this.#calls = calls;
    this.#checker = checker;
    this.#net = net;
    this.#fired = fired;
  }

  async #call<T>(
    name: string,
    ask: (engine: Engine) => Promise<T>,
    judge: (answer: Answer<T>) => void,
  ): Promise<Answer<T>> {
    this.open += 1;
    const answer = await this.#calls.call(this.process, name, ask, judge);
    this.open -= 1;
    return answer;
  }

  async start(choice: Start): Promise<void> {
    const runId = `run-${choice.run}`;
    const request = {
      namespace,
      runId,
      workflow: choice.workflow,
      queue: choice.queue,
      runKey: choice.key,
      priority: 5,
      input: { data: JSON.stringify(choice.ops), encoding: "" },
      startDelayMs: choice.startDelayMs,
      runTimeoutMs: choice.runTimeoutMs,
      requestId: `start-${choice.run}`,
    };
    const checker = this.#checker;
    checker.requests.start(runId, { ...request, program: choice.ops });
    const started = await this.#call(
      `start ${runId}`,
      async (engine) => (await engine.startRuns([request]))[0] as StartOutcome,
      (answer) => {
        if ("refusal" in answer) throw checker.violation(`${runId} is refused: ${answer.refusal.message}`);
        const outcome = answer.answer;
        if (outcome.kind === "started" || outcome.reason === "RUN_KEY_TAKEN") checker.known(outcome.runId, "an answer");
        else throw checker.violation(`I11 ${runId} is refused: ${outcome.reason}`);
      },
    );
    if (!("answer" in started) || started.answer.kind !== "started") return;
    this.#fired.hit("start");
    // Somebody else takes the same name for something else.
    const other = { ...request, requestId: `another-${choice.run}`, input: undefined };
    await this.#call(
      `start ${runId} again`,
      async (engine) => (await engine.startRuns([other]))[0] as StartOutcome,
      (answer) => {
        this.#fired.hit("otherStart");
        if ("refusal" in answer || answer.answer.kind === "started" || answer.answer.reason !== "RUN_EXISTS") {
          throw checker.violation(`I11 ${runId} is started by two requests`);
        }
      },
    );
  }

  async signal(runId: string, name: string, requestId: string): Promise<void> {
    const checker = this.#checker;
    const signalled = await this.#call(
      `signal ${requestId}`,
      (engine) => engine.signalRun({ namespace, runId }, { name, payload: undefined, requestId }),
      (answer) => {
        if ("refusal" in answer) return this.#refused(runId, answer.refusal);
        if (!checker.known(runId, "a signal").requests.has(requestId))
          throw checker.violation(`I1 ${requestId} is acknowledged and not in the file`);
      },
    );
    if ("answer" in signalled) this.#fired.hit("signal");
  }

  async steer(kind: Steer, runId: string, requestId: string): Promise<void> {
    const checker = this.#checker;
    const ref = { namespace, runId };
    const ask = (engine: Engine): Promise<RunView> => {
      if (kind !== "get") checker.requests.wish(runId, kind, kind === "retry" ? requestId : "");
      switch (kind) {
        case "cancel":
          return engine.cancelRun(ref, { reason: "", graceMs });
        case "terminate":
          return engine.terminateRun(ref, { reason: "" });
        case "pause":
          return engine.pauseRun(ref, { reason: "", graceMs });
        case "resume":
          return engine.resumeRun(ref, undefined);
        case "retry":
          return engine.retryRun(ref, { reason: "", requestId });
        case "get":
          return engine.getRun(ref);
      }
    };
    const steered = await this.#call(`${kind} ${runId}`, ask, (answer) => {
      if ("refusal" in answer) return this.#refused(runId, answer.refusal);
      const view = answer.answer;
      judgeView(checker, view);
      const run = checker.known(runId, `the answer to ${kind}`);
      const undone =
        (kind === "terminate" && run.ended === undefined) ||
        (kind === "cancel" && run.ended === undefined && !run.cancelled) ||
        (kind === "pause" && run.pauses === 0);
      if (undone) throw checker.violation(`I1 ${kind} of ${runId} is acknowledged before it is durable`);
    });
    if ("answer" in steered) this.#fired.hit(kind);
  }

  async wait(runId: string): Promise<void> {
    const ref = { namespace, runId };
    await this.#call(
      `wait for ${runId}`,
      (engine) => engine.waitRun(ref, { timeoutMs: 200, signal: new AbortController().signal }),
      (answer) => {
        if ("refusal" in answer) return this.#refused(runId, answer.refusal);
        judgeView(this.#checker, answer.answer.run);
      },
    );
  }

  /** Many ask at once: what one of them does is not durable when the next one is judged. */
  volley(runId: string, atMs: number): void {
    const kinds: readonly Steer[] = ["get", "cancel", "terminate", "resume", "retry", "pause"];
    const apart = this.#net.pick([0, 1, 5]);
    let unanswered = 0;
    const shoot = async (shot: number): Promise<void> => {
      const requestId = `volley-${runId}-${atMs}-${shot}`;
      const kind = this.#net.maybe(0.3) ? undefined : this.#net.pick(kinds);
      if (kind !== undefined) return this.steer(kind, runId, requestId);
      if (this.#net.maybe(0.5)) return this.wait(runId);
      return this.signal(runId, "volley", requestId);
    };
    const answered = (): void => {
      unanswered -= 1;
      if (unanswered > 0) this.#fired.hit("volley");
    };
    for (let shot = 0; shot < 8; shot++) {
      this.process.in(this.#net.float() * apart, () => {
        unanswered += 1;
        void shoot(shot).then(answered);
      });
    }
  }

  #refused(runId: string, { reason, message }: Refusal): void {
    judgeRefusal(this.#checker, runId, reason, message);
  }
}
