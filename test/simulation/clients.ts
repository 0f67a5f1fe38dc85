import type { Refusal } from "../../src/core/errors.ts";
import type { Engine, RunView, StartOutcome } from "../../src/engine/api.ts";
import { judgeRefusal } from "./answers.ts";
import type { Answer, Calls } from "./calls.ts";
import type { Checker } from "./checker.ts";
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
  /** Calls that were not answered yet. */
  open = 0;

  constructor(process: Process, calls: Calls, checker: Checker) {
    this.process = process;
    this.#calls = calls;
    this.#checker = checker;
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
    // Somebody else takes the same name for something else.
    const other = { ...request, requestId: `another-${choice.run}`, input: undefined };
    await this.#call(
      `start ${runId} again`,
      async (engine) => (await engine.startRuns([other]))[0] as StartOutcome,
      (answer) => {
        if ("refusal" in answer || answer.answer.kind === "started" || answer.answer.reason !== "RUN_EXISTS") {
          throw checker.violation(`I11 ${runId} is started by two requests`);
        }
      },
    );
  }

  async signal(runId: string, name: string, requestId: string): Promise<void> {
    const checker = this.#checker;
    await this.#call(
      `signal ${requestId}`,
      (engine) => engine.signalRun({ namespace, runId }, { name, payload: undefined, requestId }),
      (answer) => {
        if ("refusal" in answer) return this.#refused(runId, answer.refusal);
        if (!checker.known(runId, "a signal").requests.has(requestId))
          throw checker.violation(`I1 ${requestId} is acknowledged and not in the file`);
      },
    );
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
    await this.#call(`${kind} ${runId}`, ask, (answer) => {
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

  #refused(runId: string, { reason, message }: Refusal): void {
    judgeRefusal(this.#checker, runId, reason, message);
  }
}
