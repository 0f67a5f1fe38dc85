// The whole: a real server on a real file, real worker processes, and what happens to them.
import type { Instruction } from "../drivers/typescript-program.ts";
import type { Action, RealAction, RealScenario } from "../scenario.ts";
import { held, step } from "./parts.ts";

const day = 86_400_000;
const run = "run-1";
const start = (program: readonly Instruction[], more: object = {}): Action => ({
  tell: { cmd: "start", run, input: { do: program }, ...more },
  value: { run, alreadyStarted: false },
});
const finish = (key: string, who: "a" | "b" = "a", more: object = {}): Action => ({
  tell: { cmd: "finish", run, key, ...more },
  value: true,
  who,
});
const result = (value: unknown, who: "a" | "b" = "a"): Action => ({ tell: { cmd: "result", run }, value, who });
const granted = (times: number) => ({ event: { type: "EVENT_TYPE_LEASE_GRANTED" }, run, times });
const notGranted = (epoch: number) => ({ noEvent: { type: "EVENT_TYPE_LEASE_GRANTED", epoch: String(epoch) }, run });
const completedOnce = (stepKey: string) => ({ event: { type: "EVENT_TYPE_STEP_COMPLETED", stepKey }, run, times: 1 });
const began = (token: number, who: "a" | "b" = "a"): Action => ({ fact: { fact: "begin", run, token }, who });

/** The lease that the runner has acquired. */
const single = { runId: run, leaseId: "=lease", epoch: "1" };

/** The worker's connections are cut behind one frame of it; nothing is lost and nothing happens twice. */
const cutBehind = (name: string, what: string, cutAfter: object): RealScenario => ({
  name,
  proves: `loses and repeats nothing when its connection is cut right behind ${what}`,
  server: "embedded",
  cutAfter,
  actions: [
    {
      call: "startRun",
      request: {
        runId: run,
        workflow: "program",
        input: {
          json: JSON.stringify({ do: [step("a", 1), step("b", 2), { op: "signal", name: "go" }, step("c", 3)] }),
        },
      },
    },
    { event: { type: "EVENT_TYPE_STEP_COMPLETED", stepKey: "b" }, run },
    { call: "signalRun", request: { runId: run, name: "go", payload: { json: "9" }, requestId: "s-1" } },
    { status: "COMPLETED", run },
    { call: "getRun", request: { runId: run }, like: { run: { output: { json: "[1,2,9,3]" }, stepsCompleted: "*" } } },
    ...["a", "b", "c"].flatMap((key) => [
      { fact: { fact: "step", key, attempt: 1 } },
      { noUntakenFact: { fact: "step", key } },
      completedOnce(key),
    ]),
  ],
});

export const whole: readonly RealScenario[] = [
  {
    name: "whole-run",
    proves: "runs steps, a sleep, a signal and parallel branches against a real server to the right output",
    server: "embedded",
    actions: [
      start([
        step("a", 1),
        { op: "sleep", key: "nap", ms: 1_200 },
        { op: "parallel", branches: [[step("b", 2)], [{ op: "signal", name: "go" }]] },
        { op: "signal", name: "never", timeoutMs: 50 },
      ]),
      { tell: { cmd: "signal", run, name: "go", value: { by: "ada" } } },
      result([1, null, [[2], [{ by: "ada" }]], { timedOut: true }]),
      { tell: { cmd: "watch", run } },
    ],
  },
  {
    name: "server-killed",
    proves: "keeps its handlers and leases when the server is killed with -9 and comes back",
    server: "process",
    leaseTtlMs: 90_000,
    actions: [
      start([step("a", 1), held("b"), step("c", 3)]),
      began(1),
      { fact: { fact: "step", key: "b" } },
      { server: "SIGKILL" },
      { tellUntil: { cmd: "health" }, value: { connected: false, held: 1 } },
      { server: "restart" },
      finish("b"),
      result([1, "held", 3]),
      granted(1),
      notGranted(2),
      completedOnce("b"),
      { noFact: { fact: "aborted" } },
    ],
  },
  {
    name: "server-shut-down",
    proves: "keeps its handlers and leases when the server is shut down in order (GoAway) and comes back",
    server: "process",
    leaseTtlMs: 90_000,
    actions: [
      start([held("a"), step("b", 2)]),
      { fact: { fact: "step", key: "a" } },
      { server: "SIGTERM" },
      finish("a"),
      { server: "restart" },
      result(["held", 2]),
      notGranted(2),
      { noFact: { fact: "aborted" } },
    ],
  },
  {
    name: "wait-over-restarts",
    proves:
      "goes on waiting for a result, and watching behind the last event, when the server is killed or stopped and comes back",
    server: "process",
    options: { queues: "elsewhere" },
    actions: [
      start([]),
      { tell: { cmd: "result", run }, later: "result" },
      { tell: { cmd: "watch", run }, later: "watch" },
      ...(["SIGKILL", "SIGTERM"] as const).flatMap((how): RealScenario["actions"] => [
        { call: "signalRun", request: { runId: run, name: "s", requestId: how } },
        { server: how },
        { tellUntil: { cmd: "health" }, value: { connected: false } },
        { server: "restart" },
      ]),
      { call: "terminateRun", request: { runId: run } },
      { answered: "result", error: { reason: "RUN_TERMINATED" } },
      { answered: "watch", value: ["RUN_CREATED", "SIGNAL_RECEIVED", "SIGNAL_RECEIVED", "RUN_TERMINATED"] },
    ],
  },
  {
    name: "timer-over-restart",
    proves: "is woken from a sleep that began before the server was killed",
    server: "process",
    actions: [
      start([step("a", 1), { op: "sleep", key: "nap", ms: 1_500 }, step("b", 2)]),
      { status: "WAITING", run },
      { server: "SIGKILL" },
      { server: "restart" },
      result([1, null, 2]),
      granted(2),
      completedOnce("a"),
    ],
  },
  cutBehind("cut-behind-result", "a step's result", { completeStep: { stepKey: "b" } }),
  cutBehind("cut-behind-accept", "an accept", { leases: "*" }),
  cutBehind("cut-behind-suspend", "a suspend", { suspendRun: "*" }),
  cutBehind("cut-behind-consume", "the consumption of a signal", { consumeSignal: "*" }),
  cutBehind("cut-behind-end", "the end of a run", { completeRun: "*" }),
  {
    name: "fencing-after-pause",
    proves:
      "loses its lease when its process stands still over the TTL: the next holder has a higher fencing token, and nothing of the first one counts",
    server: "process",
    leaseTtlMs: 6_000,
    actions: [
      start([
        { ...held("a"), stubborn: true },
        { op: "fact", of: "fencingToken" },
      ]),
      { fact: { fact: "step", key: "a", token: 1 } },
      { signal: "SIGSTOP" },
      { start: "b" },
      { fact: { fact: "step", key: "a" }, who: "b" },
      { signal: "SIGCONT" },
      { fact: { fact: "aborted", key: "a", reason: "LEASE_LOST" } },
      finish("a", "a", { result: "from the old holder" }),
      finish("a", "b", { result: "from the new holder" }),
      result(["from the new holder", "*"], "b"),
      completedOnce("a"),
    ],
  },
  {
    name: "timers-cancelled",
    proves:
      "goes on behind timers that a worker without a stream has set, cancelled once and again, and found unknown or fired",
    server: "embedded",
    options: { queues: "elsewhere" },
    actions: [
      start([
        { op: "sleep", key: "nap", ms: day },
        { op: "signal", name: "go", timeoutMs: day },
        { op: "sleep", key: "short", ms: 1 },
        step("a", 1),
      ]),
      {
        call: "acquireLease",
        request: { workerId: "runner" },
        like: { assignment: { lease: { runId: run, leaseId: "=lease", epoch: "1" } } },
      },
      ...[
        { stepKey: "nap", delayMs: String(day) },
        { stepKey: "go", delayMs: String(day), signalName: "go" },
        { stepKey: "short", delayMs: "1" },
      ].map((timer): RealAction => ({ call: "createTimer", request: { lease: single, ...timer } })),
      { event: { type: "EVENT_TYPE_TIMER_FIRED", stepKey: "short" }, run },
      ...["nap", "go"].flatMap((stepKey): RealAction[] => [
        { call: "cancelTimer", request: { lease: single, stepKey }, like: { alreadyApplied: false } },
        { call: "cancelTimer", request: { lease: single, stepKey }, like: { alreadyApplied: true } },
        { event: { type: "EVENT_TYPE_TIMER_CANCELLED", stepKey }, run, times: 1 },
      ]),
      { call: "cancelTimer", request: { lease: single, stepKey: "nobody" }, reason: "INVALID" },
      { call: "cancelTimer", request: { lease: single, stepKey: "short" }, reason: "TIMER_FIRED" },
      { call: "releaseLease", request: { lease: single } },
      { start: "b" },
      result([null, { timedOut: true }, null, 1], "b"),
    ],
  },
  {
    name: "worker-killed",
    proves: "takes a run over from a killed worker and repeats no finished step",
    server: "embedded",
    leaseTtlMs: 5_000,
    pairs: true,
    actions: [
      start([
        { op: "step", key: "a", result: { from: "a", numbers: [1, 2.5, -3], none: null, text: "é😀" } },
        held("b"),
        step("c", 3),
      ]),
      { fact: { fact: "step", key: "b" } },
      { signal: "SIGKILL" },
      { start: "b" },
      { fact: { fact: "step", key: "b" }, who: "b" },
      finish("b", "b"),
      result([{ from: "a", numbers: [1, 2.5, -3], none: null, text: "é😀" }, "held", 3], "b"),
      { noFact: { fact: "step", key: "a" }, who: "b" },
      completedOnce("a"),
    ],
  },
  {
    name: "handed-over",
    proves: "finishes a run that another language began: results, failures with type, details and causes, waits, keys",
    server: "embedded",
    pairs: true,
    actions: [
      start([
        { op: "loop", times: 2, do: [{ op: "step", key: "s", resultOf: "stepKey" }] },
        step("3", { text: 'é"\\\n😀', numbers: [0, -1, 1.5, 1e21], deep: { list: [[], {}] } }),
        {
          op: "catch",
          do: [
            {
              op: "step",
              key: "pay",
              fail: {
                type: "CardDeclined",
                message: "no money",
                nonRetryable: true,
                details: { code: 51, text: "é" },
                cause: { type: "Timeout", message: "bank", cause: { type: "Io", message: "cable" } },
              },
            },
          ],
        },
        { op: "signal", name: "go" },
        { op: "signal", name: "never", timeoutMs: 30 },
        held("last-of-a"),
        { op: "step", key: "of-b", resultOf: "fencingToken" },
      ]),
      { tell: { cmd: "signal", run, name: "go", value: ["by", { ada: true }] } },
      { fact: { fact: "step", key: "last-of-a" } },
      { tell: { cmd: "drain" } },
      finish("last-of-a"),
      { exits: 0 },
      { start: "b" },
      { tell: { cmd: "result", run }, who: "b", later: "result" },
      {
        fact: {
          fact: "caught",
          error: {
            reason: "STEP_FAILED",
            stepKey: "pay",
            attempts: 1,
            cause: {
              type: "CardDeclined",
              message: "no money",
              details: { code: 51, text: "é" },
              cause: { type: "Timeout", message: "bank", cause: { type: "Io", message: "cable" } },
            },
          },
        },
        who: "b",
      },
      {
        answered: "result",
        value: [
          [["s"], ["s#2"]],
          { text: 'é"\\\n😀', numbers: [0, -1, 1.5, 1e21], deep: { list: [[], {}] } },
          { caught: "*" },
          ["by", { ada: true }],
          { timedOut: true },
          "held",
          "*",
        ],
      },
      { noFact: { fact: "step", key: "s" }, who: "b" },
      { noFact: { fact: "step", key: "pay" }, who: "b" },
    ],
  },
  {
    name: "failed-by-one-read-by-another",
    proves: "reads the failure of a run, with its causes, that another language stored",
    server: "embedded",
    pairs: true,
    actions: [
      start([
        {
          op: "fail",
          type: "OutOfStock",
          message: "no more",
          details: { sku: 7 },
          cause: { type: "Db", message: "row", cause: { type: "Io", message: "disk" } },
        },
      ]),
      { status: "FAILED", run },
      { start: "b" },
      {
        tell: { cmd: "result", run },
        who: "b",
        error: {
          reason: "RUN_FAILED",
          cause: {
            type: "OutOfStock",
            message: "no more",
            details: { sku: 7 },
            cause: { type: "Db", message: "row", cause: { type: "Io", message: "disk" } },
          },
        },
      },
    ],
  },
  {
    name: "long-journal",
    proves: "replays a journal that is longer than one frame, without calling a function again",
    server: "embedded",
    leaseTtlMs: 90_000,
    actions: [
      start([{ op: "loop", times: 30, do: [{ op: "step", key: "s", bytes: 40_000 }] }, held("h"), step("last", 1)]),
      { fact: { fact: "step", key: "h" } },
      { tell: { cmd: "drain" } },
      finish("h"),
      { exits: 0 },
      { start: "b" },
      { event: { type: "EVENT_TYPE_STEP_COMPLETED", stepKey: "last", epoch: "2" }, run },
      { noFact: { fact: "step", key: "s" }, who: "b" },
      { noFact: { fact: "step", key: "s#30" }, who: "b" },
      { status: "COMPLETED", run },
    ],
  },
  {
    name: "payload-limit",
    proves: "stores a result of exactly the largest size, and fails a step with one byte more by name",
    server: "embedded",
    payloadMax: 100_000,
    actions: [
      start([
        { op: "step", key: "at", bytes: 100_000 },
        { op: "catch", do: [{ op: "step", key: "over", bytes: 100_001 }] },
      ]),
      { event: { type: "EVENT_TYPE_STEP_COMPLETED", stepKey: "at" }, run },
      {
        event: {
          type: "EVENT_TYPE_STEP_FAILED",
          stepKey: "over",
          failure: { type: "PayloadTooLarge", nonRetryable: true },
        },
        run,
      },
      { fact: { fact: "caught", error: { reason: "STEP_FAILED", cause: { type: "PayloadTooLarge" } } } },
    ],
  },
  {
    name: "signals-in-order",
    proves: "takes twenty signals in the order in which they were sent, however they race with its suspends",
    server: "embedded",
    actions: [
      start([{ op: "loop", times: 20, do: [{ op: "signal", name: "n" }] }]),
      ...Array.from({ length: 20 }, (_, value): Action => ({ tell: { cmd: "signal", run, name: "n", value } })),
      result([Array.from({ length: 20 }, (_, value) => [value])]),
    ],
  },
  {
    name: "cancel-whole",
    proves: "ends a run that is cancelled in a step, and one that is cancelled while it sleeps; result says so",
    server: "embedded",
    actions: [
      start([held("a")]),
      { fact: { fact: "step", key: "a" } },
      { tell: { cmd: "cancel", run, why: "changed my mind" } },
      { fact: { fact: "aborted", key: "a", reason: "CANCELLED" } },
      { tell: { cmd: "result", run }, error: { reason: "CANCELLED" } },
      { tell: { cmd: "start", run: "run-2", input: { do: [{ op: "sleep", key: "nap", ms: day }] } } },
      { status: "WAITING", run: "run-2" },
      { tell: { cmd: "cancel", run: "run-2" } },
      { status: "CANCELLED", run: "run-2" },
      { tell: { cmd: "get", run: "run-2" }, value: { status: "CANCELLED" } },
    ],
  },
  {
    name: "attempts-over-takeover",
    proves: "goes on with the next attempt where another worker has left off",
    server: "embedded",
    pairs: true,
    actions: [
      start([
        {
          op: "step",
          key: "a",
          fail: { type: "Io", message: "cable" },
          failAttempts: 2,
          resultOf: "attempt",
          retry: { delaysMs: [1, 7_000], maxAttempts: 5 },
        },
      ]),
      { event: { type: "EVENT_TYPE_STEP_ATTEMPT_FAILED", stepKey: "a", attempt: 2 }, run },
      { status: "WAITING", run },
      { signal: "SIGTERM" },
      { exits: 0 },
      { start: "b" },
      { fact: { fact: "step", key: "a", attempt: 3 }, who: "b" },
      result([3], "b"),
    ],
  },
  {
    name: "uncertain-effect",
    proves: "does not repeat a step that may run at most once: the run is paused, and a person's word is its result",
    server: "embedded",
    leaseTtlMs: 5_000,
    actions: [
      start([{ ...held("pay"), atMostOnce: true }, step("b", 2)]),
      { fact: { fact: "step", key: "pay" } },
      { signal: "SIGKILL" },
      { start: "b" },
      { status: "PAUSED", run },
      { tell: { cmd: "get", run }, who: "b", value: { status: "PAUSED", pauseReason: "UNCERTAIN_EFFECT" } },
      { tell: { cmd: "resume", run, resolution: { complete: { receipt: 7 } } }, who: "b" },
      result([{ receipt: 7 }, 2], "b"),
      { noFact: { fact: "step", key: "pay" }, who: "b" },
    ],
  },
  {
    name: "retry-run",
    proves: "opens a failed run again: only the step that failed it runs again",
    server: "embedded",
    actions: [
      start([step("a", 1), { ...held("b"), retry: { maxAttempts: 1 } }]),
      { fact: { fact: "step", key: "b" } },
      finish("b", "a", { fail: { type: "Io", message: "cable" } }),
      {
        tell: { cmd: "result", run },
        error: { reason: "RUN_FAILED", cause: { type: "StepFailed", cause: { type: "Io" } } },
      },
      { tell: { cmd: "retry", run } },
      { fact: { fact: "step", key: "b", attempt: 1 } },
      finish("b"),
      result([1, "held"]),
      completedOnce("a"),
    ],
  },
  {
    name: "client-starts",
    proves: "starts a run once for the same id and request, and names the reason when an id or a key is taken",
    server: "embedded",
    options: { queues: "elsewhere" },
    actions: [
      {
        tell: { cmd: "start", run, input: { do: [] }, requestId: "q-1", runKey: "k-1" },
        value: { alreadyStarted: false },
      },
      {
        tell: { cmd: "start", run, input: { do: [] }, requestId: "q-1", runKey: "k-1" },
        value: { run, alreadyStarted: true },
      },
      { tell: { cmd: "start", run, input: { do: [] }, requestId: "q-2" }, error: { reason: "RUN_EXISTS" } },
      { tell: { cmd: "start", run: "run-2", input: { do: [] }, runKey: "k-1" }, error: { reason: "RUN_KEY_TAKEN" } },
      { tell: { cmd: "get", run }, value: { status: "QUEUED", workflow: "program" } },
      { tell: { cmd: "list", runKey: "k-1" }, value: [run] },
      { tell: { cmd: "list", statuses: ["COMPLETED"] }, value: [] },
      { tell: { cmd: "get", run: "nobody" }, error: { reason: "RUN_NOT_FOUND" } },
      { tell: { cmd: "result", run, timeoutMs: 50 }, error: { reason: "RESULT_TIMEOUT" } },
    ],
  },
  {
    name: "client-steers",
    proves: "signals once for the same request, pauses, resumes, terminates, and watches a run to its end",
    server: "embedded",
    actions: [
      start([
        { op: "signal", name: "go" },
        { op: "signal", name: "go" },
      ]),
      { status: "WAITING", run },
      { tell: { cmd: "watch", run }, later: "watch" },
      { tell: { cmd: "pause", run }, value: "PAUSED" },
      { tell: { cmd: "signal", run, name: "go", value: 1, requestId: "s-1" } },
      { tell: { cmd: "signal", run, name: "go", value: 1, requestId: "s-1" } },
      { tell: { cmd: "resume", run } },
      { event: { type: "EVENT_TYPE_SIGNAL_CONSUMED", stepKey: "go" }, run },
      { status: "WAITING", run },
      { tell: { cmd: "terminate", run, why: "enough" }, value: "TERMINATED" },
      { tell: { cmd: "result", run }, error: { reason: "RUN_TERMINATED" } },
      { tell: { cmd: "signal", run, name: "go" }, error: { reason: "RUN_CLOSED" } },
      { answered: "watch", value: "*" },
      { event: { type: "EVENT_TYPE_SIGNAL_RECEIVED" }, run, times: 1 },
      { noEvent: { type: "EVENT_TYPE_SIGNAL_CONSUMED", stepKey: "go#2" }, run },
    ],
  },
  {
    name: "queue-and-capacity",
    proves: "gets runs of its queues only, and never more at a time than its capacity",
    server: "embedded",
    options: { capacity: 2, queues: "q1" },
    actions: [
      ...[1, 2, 3].map(
        (n): Action => ({ tell: { cmd: "start", run: `run-${n}`, queue: "q1", input: { do: [held("a")] } } }),
      ),
      { tell: { cmd: "start", run: "run-4", queue: "q2", input: { do: [] } } },
      { fact: { fact: "step", run: "run-1" } },
      { fact: { fact: "step", run: "run-2" } },
      { tell: { cmd: "get", run: "run-3" }, value: { status: "QUEUED" } },
      { tellUntil: { cmd: "health" }, value: { held: 2, capacity: 2 } },
      { tell: { cmd: "finish", run: "run-1", key: "a" }, value: true },
      { fact: { fact: "step", run: "run-3" } },
      { tell: { cmd: "get", run: "run-4" }, value: { status: "QUEUED" } },
    ],
  },
  {
    name: "busy-step",
    proves: "keeps its lease while a step function keeps the processor busy for longer than the TTL",
    server: "embedded",
    leaseTtlMs: 5_000,
    without: {
      typescript: "workflow, steps and session share the one thread of JavaScript; see the README of the SDK",
    },
    actions: [
      start([
        { op: "step", key: "a", busyMs: 6_000, result: 1 },
        { op: "step", key: "b", busyMs: 6_000, plain: true, result: 2 },
      ]),
      result([1, 2]),
      notGranted(2),
      { noFact: { fact: "step", attempt: 2 } },
    ],
  },
];
