// Every op of a worker, applied.
import type { ScriptedScenario } from "../scenario.ts";
import {
  accepted,
  asksToPay,
  assign,
  completedEntry,
  completeRun,
  completes,
  completeStep,
  held,
  heldIs,
  notice,
  step,
  welcomed,
} from "./parts.ts";

const day = 86_400_000;
const retryIn = (delayMs: number, nextAttempt = 2) => ({
  applied: { results: [{ index: 0, retry: { nextAttempt, delayMs: String(delayMs) } }] },
});
const exhausted = (attempt = 1) => ({ applied: { results: [{ index: 0, exhausted: { attempt } }] } });
const signalled = (json: string) => ({
  applied: { results: [{ index: 0, signal: { signalId: "4", payload: { json } } }] },
});
/** With one timer beside them as many as a suspend may await. */
const manyNames = Array.from({ length: 999 }, (_, at) => `s${at}`);
const declined = { type: "CardDeclined", message: "no money" };

export const ops: readonly ScriptedScenario[] = [
  {
    name: "start-at-most-once",
    proves: "announces a step that may run at most once, and calls its function when the start is durable, not before",
    server: "scripted",
    actions: [
      ...asksToPay,
      { sync: true },
      { noFact: { fact: "step" } },
      { reply: "applied" },
      { fact: { fact: "step", key: "pay", attempt: 1 } },
      { op: [completeStep("pay", "1")] },
      ...completes("[1]"),
    ],
  },
  {
    name: "start-with-input",
    proves: "records what a step was called with, and does not wait for that",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ ...held("a"), input: { cents: 5 } }]),
      accepted(),
      { op: [{ startStep: { stepKey: "a", attempt: 1, input: { json: '{"cents":5}' } } }], answer: "nothing" },
      { fact: { fact: "step", key: "a" } },
      { reply: "applied" },
      { tell: { cmd: "finish", run: "run-1", key: "a" }, value: true },
      { op: [completeStep("a", '"held"')] },
      ...completes('["held"]'),
    ],
  },
  {
    name: "stored-result-wins",
    proves: "gives the workflow the result that the server has stored, when there is one already",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([step("a", 1)]),
      accepted(),
      {
        op: [completeStep("a", "1")],
        answer: { applied: { alreadyApplied: true, results: [{ index: 0, storedOutput: { json: "42" } }] } },
      },
      ...completes("[42]"),
    ],
  },
  {
    name: "fail-and-retry",
    proves: "reports a failed attempt with type, message, details and cause, waits as the server says, and tries again",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([
        {
          op: "step",
          key: "a",
          result: 1,
          failAttempts: 1,
          fail: {
            ...declined,
            details: { code: 51 },
            cause: { type: "Timeout", message: "bank", cause: { type: "Io", message: "cable" } },
          },
        },
      ]),
      accepted(),
      { fact: { fact: "step", key: "a", attempt: 1 } },
      {
        op: [
          {
            failStep: {
              stepKey: "a",
              attempt: 1,
              retryPolicy: null,
              failure: {
                ...declined,
                details: { json: '{"code":51}' },
                nonRetryable: false,
                retryAfterMs: "0",
                cause: { type: "Timeout", message: "bank", cause: { type: "Io", message: "cable", cause: null } },
              },
            },
          },
        ],
        answer: retryIn(50),
      },
      { fact: { fact: "step", key: "a", attempt: 2 } },
      { op: [completeStep("a", "1", 2)] },
      ...completes("[1]"),
    ],
  },
  {
    name: "retry-policy",
    proves: "sends the whole policy with the failure: kind, delays, factor, cap, jitter, attempts, time, types",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([
        {
          op: "step",
          key: "a",
          fail: declined,
          retry: {
            maxAttempts: 7,
            backoff: "linear",
            initialDelayMs: 20,
            factor: 1.5,
            maxDelayMs: 900,
            jitter: 0.25,
            maxElapsedMs: 60_000,
            nonRetryableTypes: ["Fraud"],
          },
          failAttempts: 1,
          result: 1,
        },
        {
          op: "step",
          key: "b",
          fail: declined,
          failAttempts: 1,
          retry: { delaysMs: [1, 2, 3], maxAttempts: 0 },
          result: 2,
        },
      ]),
      accepted(),
      {
        op: [
          {
            failStep: {
              stepKey: "a",
              retryPolicy: {
                backoff: "BACKOFF_KIND_LINEAR",
                initialDelayMs: "20",
                factor: 1.5,
                maxDelayMs: "900",
                jitter: 0.25,
                maxAttempts: 7,
                maxElapsedMs: "60000",
                nonRetryableTypes: ["Fraud"],
                delaysMs: [],
              },
            },
          },
        ],
        answer: retryIn(1),
      },
      { op: [completeStep("a", "1", 2)] },
      {
        op: [
          {
            failStep: {
              stepKey: "b",
              retryPolicy: { backoff: "BACKOFF_KIND_LISTED", delaysMs: ["1", "2", "3"], maxAttempts: 0 },
            },
          },
        ],
        answer: retryIn(1),
      },
      { op: [completeStep("b", "2", 2)] },
      ...completes("[1,2]"),
    ],
  },
  {
    name: "non-retryable-and-retry-after",
    proves: "marks a failure that no retry can help, and names the earliest next attempt of one that says so",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([
        { op: "step", key: "a", fail: { type: "Busy", message: "later", retryAfterMs: 250 }, failAttempts: 1 },
        { op: "catch", do: [{ op: "step", key: "b", fail: { ...declined, nonRetryable: true, details: [1] } }] },
      ]),
      accepted(),
      {
        op: [
          { failStep: { stepKey: "a", failure: { type: "RetryAfterError", message: "later", retryAfterMs: "250" } } },
        ],
        answer: retryIn(1),
      },
      { op: [completeStep("a", "null", 2)] },
      {
        op: [{ failStep: { stepKey: "b", failure: { ...declined, nonRetryable: true, details: { json: "[1]" } } } }],
        answer: exhausted(),
      },
      { fact: { fact: "caught", error: { reason: "STEP_FAILED", stepKey: "b", attempts: 1, cause: declined } } },
      { op: [{ completeRun: "*" }] },
      heldIs(0),
    ],
  },
  {
    name: "step-timeout",
    proves: "aborts an attempt over its timeout, tells the server of the bound, and fails it with type StepTimeout",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "catch", do: [{ ...held("slow"), timeoutMs: 500 }] }]),
      accepted(),
      { op: [{ startStep: { stepKey: "slow", attempt: 1, timeoutMs: "*" } }] },
      { fact: { fact: "aborted", key: "slow", reason: "STEP_TIMEOUT" } },
      { op: [{ failStep: { stepKey: "slow", failure: { type: "StepTimeout" } } }], answer: exhausted() },
      { fact: { fact: "caught", error: { reason: "STEP_FAILED", cause: { type: "StepTimeout" } } } },
      { op: [{ completeRun: "*" }] },
      heldIs(0),
    ],
  },
  {
    name: "fail-run",
    proves: "ends the run with what the workflow threw, and names the steps whose failures it carries",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "step", key: "a", fail: declined }], {}, 1),
      accepted(1),
      { op: [{ failStep: { stepKey: "a" } }], answer: exhausted(4) },
      {
        op: [
          {
            failRun: {
              failure: { type: "StepFailed", cause: { ...declined, cause: null } },
              failedSteps: ["a"],
            },
          },
        ],
      },
      heldIs(0),
      assign([{ op: "fail", type: "Broke", message: "mine", cause: { type: "Inner", message: "in" } }], {}, 2),
      accepted(2),
      {
        op: [
          {
            failRun: {
              failure: { type: "Broke", message: "mine", cause: { type: "Inner", message: "in" } },
              failedSteps: [],
            },
          },
        ],
        lease: 2,
      },
      heldIs(0),
    ],
  },
  {
    name: "failed-step-in-journal",
    proves: "throws a recorded failure as the first run did, and goes on between two attempts where the journal says",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "catch", do: [step("a", 1)] }, step("b", 2), step("c", 3)], {
        journal: [
          {
            stepKey: "a",
            failed: {
              attempt: 3,
              failure: { ...declined, details: { json: '{"code":51}' }, cause: { type: "Io", message: "cable" } },
            },
          },
          { stepKey: "b", retrying: { attempt: 2, failure: declined, delayMs: "20" } },
        ],
      }),
      accepted(),
      {
        fact: {
          fact: "caught",
          error: {
            reason: "STEP_FAILED",
            stepKey: "a",
            attempts: 3,
            cause: { ...declined, details: { code: 51 }, cause: { type: "Io", message: "cable" } },
          },
        },
      },
      { fact: { fact: "step", key: "b", attempt: 3 } },
      { op: [completeStep("b", "2", 3)] },
      { op: [completeStep("c", "3")] },
      { noFact: { fact: "step", key: "a" } },
      { op: [{ completeRun: "*" }] },
      heldIs(0),
    ],
  },
  {
    name: "long-retry-suspends",
    proves: "gives the lease back for a long back-off, awaiting the retry",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "step", key: "a", fail: declined }]),
      accepted(),
      { op: [{ failStep: { stepKey: "a" } }], answer: retryIn(day) },
      { op: [{ suspendRun: { awaits: [{ retry: "a" }], noticesSeen: "2" } }] },
      heldIs(0),
      { noFact: { fact: "end" } },
    ],
  },
  {
    name: "sleep-suspends",
    proves: "sets a timer when sleep is called, gives the lease back for a long one, and unwinds the workflow",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "sleep", key: "nap", ms: day }, step("a", 1)]),
      accepted(),
      { op: [{ setTimer: { stepKey: "nap", delayMs: String(day), signalName: "" } }] },
      { op: [{ suspendRun: { awaits: [{ timer: "nap" }], noticesSeen: "2" } }] },
      heldIs(0),
      { noFact: { fact: "end" } },
    ],
  },
  {
    name: "suspend-awaits-no-more-than-it-may",
    proves: "names at most 1,000 awaits in a suspend: all signals, and of the timers what is due first",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([
        {
          op: "parallel",
          branches: [
            [{ op: "sleep", key: "late", ms: 2 * day }],
            [{ op: "sleep", key: "soon", ms: day }],
            ...manyNames.map((name) => [{ op: "signal", name, key: name } as const]),
          ],
        },
      ]),
      accepted(),
      { op: [{ setTimer: { stepKey: "late" } }] },
      { op: [{ setTimer: { stepKey: "soon" } }] },
      {
        op: [
          {
            suspendRun: {
              awaits: [{ timer: "soon" }, ...manyNames.map((signal) => ({ signal, stepKey: signal }))],
            },
          },
        ],
      },
      heldIs(0),
    ],
  },
  {
    name: "short-sleep",
    proves: "keeps the lease over a short sleep, and wakes when the server says that the timer fired",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "sleep", key: "nap", ms: 300 }]),
      accepted(),
      { op: [{ setTimer: { stepKey: "nap", delayMs: "300" } }] },
      { sync: true },
      { noFrame: "suspendRun" },
      notice(4, { timerFired: "nap" }),
      ...completes("[null]"),
    ],
  },
  {
    name: "pending-timer-in-journal",
    proves: "waits on for a timer that an earlier lease has set, without setting it again",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "sleep", key: "nap", ms: day }], {
        journal: [{ stepKey: "nap", timer: { delayMs: "40000" } }],
      }),
      accepted(),
      { op: [{ suspendRun: { awaits: [{ timer: "nap" }] } }] },
      heldIs(0),
    ],
  },
  {
    name: "cancelled-timer-in-journal",
    proves:
      "ends a sleep whose timer somebody else has cancelled, and takes a wait whose timer was cancelled for timed out",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign(
        [
          { op: "sleep", key: "nap", ms: day },
          { op: "signal", name: "go", timeoutMs: day },
        ],
        {
          journal: [
            { stepKey: "nap", timerCancelled: {} },
            { stepKey: "go", timerCancelled: { signalName: "go" } },
          ],
        },
      ),
      accepted(),
      ...completes('[null,{"timedOut":true}]'),
    ],
  },
  {
    name: "open-signal",
    proves: "consumes a signal that was there before the grant, and gives the workflow what it carries",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "signal", name: "go" }], {
        openSignals: [{ signalId: "4", name: "go", payload: { json: '"yes"' } }],
      }),
      accepted(),
      { op: [{ consumeSignal: { stepKey: "go", name: "go" } }], answer: signalled('"yes"') },
      ...completes('["yes"]'),
    ],
  },
  {
    name: "signal-suspends",
    proves:
      "gives the lease back to wait for a signal and names the wait; with a timeout it sets the timer first and awaits both",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "signal", name: "go" }], {}, 1),
      accepted(1),
      { op: [{ suspendRun: { awaits: [{ signal: "go", stepKey: "go" }] } }] },
      heldIs(0),
      assign([{ op: "signal", name: "go", key: "wait", timeoutMs: day }], {}, 2),
      accepted(2),
      { op: [{ setTimer: { stepKey: "wait", delayMs: String(day), signalName: "go" } }], lease: 2 },
      { op: [{ suspendRun: { awaits: [{ timer: "wait" }, { signal: "go", stepKey: "wait" }] } }], lease: 2 },
      heldIs(0),
    ],
  },
  {
    name: "signal-notice",
    proves: "takes a signal that is pushed while another branch keeps the lease",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "parallel", branches: [[held("a")], [{ op: "signal", name: "go" }]] }]),
      accepted(),
      { fact: { fact: "step", key: "a" } },
      { sync: true },
      { noFrame: "suspendRun" },
      notice(3, { signal: { signalId: "3", name: "go", payload: { json: "5" } } }),
      { op: [{ consumeSignal: { stepKey: "go", name: "go" } }], answer: signalled("5") },
      { tell: { cmd: "finish", run: "run-1", key: "a" }, value: true },
      { op: [completeStep("a", '"held"')] },
      ...completes('[[["held"],[5]]]'),
    ],
  },
  {
    name: "signal-timeout",
    proves: "ends a wait for a signal without one when its timer fired",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "signal", name: "go", timeoutMs: 500 }]),
      accepted(),
      { op: [{ setTimer: { stepKey: "go", delayMs: "500", signalName: "go" } }] },
      notice(4, { timerFired: "go" }),
      ...completes('[{"timedOut":true}]'),
    ],
  },
  {
    name: "notice-twice",
    proves: "reacts to a notice once, however often it comes",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([
        {
          op: "parallel",
          branches: [
            [held("a")],
            [
              { op: "signal", name: "go" },
              { op: "signal", name: "go" },
            ],
          ],
        },
      ]),
      accepted(),
      { fact: { fact: "step", key: "a" } },
      notice(3, { signal: { signalId: "3", name: "go", payload: { json: "1" } } }),
      notice(3, { signal: { signalId: "3", name: "go", payload: { json: "1" } } }),
      { op: [{ consumeSignal: { stepKey: "go" } }], answer: signalled("1") },
      { sync: true },
      { noFrame: "consumeSignal" },
      notice(5, { signal: { signalId: "5", name: "go", payload: { json: "2" } } }),
      { op: [{ consumeSignal: { stepKey: "go#2" } }], answer: signalled("2") },
      { tell: { cmd: "finish", run: "run-1", key: "a" }, value: true },
      { op: [completeStep("a", '"held"')] },
      ...completes('[[["held"],[1,2]]]'),
    ],
  },
  {
    name: "parallel-steps",
    proves: "runs the steps of parallel branches at the same time, and each result goes out when it is there",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "parallel", branches: [[held("a")], [held("b")], [step("c", 3)]] }]),
      accepted(),
      { fact: { fact: "step", key: "a" } },
      { fact: { fact: "step", key: "b" } },
      { op: [completeStep("c", "3")] },
      { tell: { cmd: "finish", run: "run-1", key: "b" }, value: true },
      { op: [completeStep("b", '"held"')] },
      { tell: { cmd: "finish", run: "run-1", key: "a" }, value: true },
      { op: [completeStep("a", '"held"')] },
      ...completes('[[["held"],["held"],[3]]]'),
    ],
  },
  {
    name: "no-value-and-bytes",
    proves: "keeps the JSON text null apart from no value, in results that it gets back",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([step("a", 0), step("b", 0), step("c", 0)], {
        journal: [completedEntry("a", "null"), { stepKey: "b", completed: {} }, completedEntry("c", '"é\\u0000😀"')],
      }),
      accepted(),
      { op: [completeRun("*")] },
      heldIs(0),
    ],
  },
];
