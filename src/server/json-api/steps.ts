import type { Change } from "../../core/command.ts";
import { EngineError, refuse } from "../../core/errors.ts";
import type { RetryPolicy } from "../../core/event.ts";
import { countMax, durationMsMax, failureMessageBytesMax, pageSizeMax } from "../../limits.ts";
import { invalid } from "../validate.ts";
import { type Body, integerOf, payloadOf, readBody, secondsOf, textOf } from "./body.ts";
import { answer, answerList, type Exchange, namespace, ok } from "./exchange.ts";
import { stepNumberOf, stepOf } from "./views.ts";
import { claimOf, idOf } from "./workflows.ts";

// Steps by number: the number's digits are the step key.

function stepKeyOf(body: Body): string {
  return String(integerOf(body, "step_number", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
}

/** The next attempt begins, unless one is running or the step has its result. */
function start(exchange: Exchange, body: Body): Change & { type: "StartStep" } {
  return {
    type: "StartStep",
    stepKey: stepKeyOf(body),
    attempt: 0,
    atMostOnce: false,
    timeoutMs: 0,
    input: payloadOf(body, "input", exchange.engine.settings.payloadBytesMax),
    retryPolicy: undefined,
  };
}

/** A start is only worth an event when it brings an input. */
function withInput(exchange: Exchange, body: Body, change: Change): Change[] {
  const started = start(exchange, body);
  return started.input === undefined ? [change] : [started, change];
}

export async function startStep(exchange: Exchange): Promise<void> {
  const body = await readBody(exchange.request);
  const lease = claimOf(body, idOf(body));
  await exchange.engine.applyClaimed({ namespace, lease, changes: [start(exchange, body)] });
  answer(exchange, ok);
}

export async function completeStep(exchange: Exchange): Promise<void> {
  const body = await readBody(exchange.request);
  const lease = claimOf(body, idOf(body));
  const stepKey = stepKeyOf(body);
  const output = payloadOf(body, "output", exchange.engine.settings.payloadBytesMax);
  const changes = withInput(exchange, body, { type: "CompleteStep", stepKey, attempt: 0, output, elapsedMs: 0 });
  const { already } = await exchange.engine.applyClaimed({ namespace, lease, changes });
  // The same result again is no error to our own workers; to the seed's it always is.
  if (already) throw new EngineError(refuse("STEP_COMPLETED", "the step has this result already"));
  answer(exchange, ok);
}

/** Attempts are recorded without end: when to give up is the worker's business. */
const noEnd: RetryPolicy = { backoff: "fixed", initialDelayMs: 0, jitter: 0, maxAttempts: 0 };

export async function failStep(exchange: Exchange): Promise<void> {
  const body = await readBody(exchange.request);
  const lease = claimOf(body, idOf(body));
  const failure = { type: "Error", message: textOf(body, "error", failureMessageBytesMax) };
  const stepKey = stepKeyOf(body);
  const change: Change = { type: "FailStep", stepKey, attempt: 0, failure, retryPolicy: noEnd, elapsedMs: 0 };
  await exchange.engine.applyClaimed({ namespace, lease, changes: withInput(exchange, body, change) });
  answer(exchange, ok);
}

export async function listSteps(exchange: Exchange): Promise<void> {
  const { engine, id } = exchange;
  const steps: { number: number; value: Record<string, unknown> }[] = [];
  for (let offset = 0, more = true; more; offset += pageSizeMax) {
    const page = await engine.listSteps({ namespace, runId: id }, { offset, limit: pageSizeMax });
    more = page.more;
    for (const step of page.items) {
      const number = step.kind === "function" ? stepNumberOf(step.stepKey) : undefined;
      if (number !== undefined) steps.push({ number, value: stepOf(id, number, step) });
    }
  }
  steps.sort((a, b) => a.number - b.number);
  async function* values() {
    for (const { value } of steps) yield value;
  }
  await answerList(exchange, values(), "[", () => "]\n");
}

const policies = new Map<unknown, "fixed" | "linear" | "exponential">([
  ["fixed", "fixed"],
  ["linear", "linear"],
  ["exponential", "exponential"],
]);

export async function scheduleRetry(exchange: Exchange): Promise<void> {
  const body = await readBody(exchange.request);
  const lease = claimOf(body, idOf(body));
  const backoff = policies.get(textOf(body, "policy"));
  if (backoff === undefined) throw invalid("policy", "must be fixed, linear or exponential");
  const maxDelayMs = secondsOf(body, "max_seconds") || durationMsMax;
  const initialDelayMs = secondsOf(body, "base_seconds");
  const change: Change = {
    type: "BackOff",
    stepKey: stepKeyOf(body),
    retryCount: integerOf(body, "retry_count", 0, countMax),
    retriesMax: integerOf(body, "max_retries", 0, countMax),
    policy: { backoff, initialDelayMs, maxDelayMs, factor: 2, jitter: 0 },
  };
  const { already } = await exchange.engine.applyClaimed({ namespace, lease, changes: [change] });
  answer(exchange, { retry_scheduled: !already });
}
