// Every refusal of an op that a worker has to know.
import type { ScriptedScenario } from "../scenario.ts";
import {
  accepted,
  assign,
  completeRun,
  completes,
  completeStep,
  held,
  heldIs,
  lease,
  notice,
  refused,
  step,
  welcomed,
} from "./parts.ts";

const signalled = (json: string) => ({
  applied: { results: [{ index: 0, signal: { signalId: "4", payload: { json } } }] },
});
const transient = { retryable: true };

/** A refusal that only a bug or another holder explains: the run is given back, and a replay sorts it out. */
const givesBack = (name: string, reason: string, proves: string): ScriptedScenario => ({
  name,
  proves,
  server: "scripted",
  actions: [
    ...welcomed(),
    assign([step("a", 1), step("b", 2)]),
    accepted(),
    { op: [completeStep("a", "1")], answer: refused(reason) },
    { frame: "release", like: { leases: [lease()] } },
    heldIs(0),
    { noFact: { fact: "step", key: "b" } },
    { noFrame: "op" },
  ],
});

/** A refusal that passes: the same op goes out again under its id, and what is new acknowledges the refusal. */
const triesAgain = (name: string, reason: string, proves: string): ScriptedScenario => ({
  name,
  proves,
  server: "scripted",
  actions: [
    ...welcomed(),
    assign([step("a", 1), step("b", 2)]),
    accepted(),
    {
      op: [completeStep("a", "1")],
      like: { opId: "=first" },
      answer: refused(reason, { ...transient, retryAfterMs: "20" }),
    },
    { op: [completeStep("a", "1")], like: { opId: "=first", afterRefused: "0" } },
    { op: [completeStep("b", "2")] },
    ...completes("[1,2]"),
  ],
});

export const refusals: readonly ScriptedScenario[] = [
  triesAgain(
    "busy",
    "BUSY",
    "sends an op that was refused BUSY again under its id, after the time that the server names",
  ),
  triesAgain("disk-full", "DISK_FULL", "sends an op that was refused DISK_FULL again, until there is room"),
  triesAgain("shutting-down", "SHUTTING_DOWN", "sends an op that was refused SHUTTING_DOWN again"),
  {
    name: "preceding-failed",
    proves:
      "after a refused op sends it and those behind it again in order; the first one with a new id acknowledges it",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "parallel", branches: [[held("a")], [held("b")]] }]),
      accepted(),
      { fact: { fact: "step", key: "a" } },
      { fact: { fact: "step", key: "b" } },
      { tell: { cmd: "finish", run: "run-1", key: "a" }, value: true },
      { op: [completeStep("a", '"held"')], like: { opId: "=first" }, answer: "nothing" },
      { tell: { cmd: "finish", run: "run-1", key: "b" }, value: true },
      { op: [completeStep("b", '"held"')], like: { opId: "=second" }, answer: "nothing" },
      { reply: refused("BUSY", { ...transient, retryAfterMs: "10" }) },
      { reply: refused("PRECEDING_FAILED", transient) },
      { op: [completeStep("a", '"held"')], like: { opId: "=first", afterRefused: "0" } },
      { op: [completeStep("b", '"held"')], like: { opId: "=second", afterRefused: "=first" } },
      { op: [completeRun('[[["held"],["held"]]]')], like: { afterRefused: "0" } },
      heldIs(0),
    ],
  },
  {
    name: "lease-lost",
    proves: "drops the work when an op is refused LEASE_LOST: handlers are aborted, nothing more is sent",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "parallel", branches: [[held("a")], [step("b", 2), step("c", 3)]] }]),
      accepted(),
      { fact: { fact: "step", key: "a" } },
      { op: [completeStep("b", "2")], answer: refused("LEASE_LOST", { leaseLost: true }) },
      { fact: { fact: "aborted", key: "a", reason: "LEASE_LOST" } },
      heldIs(0),
      { sync: true },
      { noFrame: "op" },
      { noFrame: "release" },
      { noFact: { fact: "step", key: "c" } },
    ],
  },
  givesBack("op-conflict", "OP_CONFLICT", "gives the run back when an op is refused OP_CONFLICT"),
  givesBack("internal", "INTERNAL", "gives the run back when an op is refused INTERNAL"),
  givesBack(
    "step-completed",
    "STEP_COMPLETED",
    "gives the run back when its step has another result: a replay gets that one",
  ),
  givesBack(
    "step-failed",
    "STEP_FAILED",
    "gives the run back when its step has failed already: a replay gets the failure",
  ),
  givesBack("run-paused", "RUN_PAUSED", "gives the run back when it is being paused"),
  {
    name: "kind-mismatch",
    proves:
      "fails the run with type NonDeterminism when the server knows the key as something else, whatever the code catches",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "catch", do: [{ op: "sleep", key: "x", ms: 900 }] }, step("b", 1)]),
      accepted(),
      { op: [{ setTimer: { stepKey: "x" } }], answer: refused("STEP_KIND_MISMATCH") },
      { op: [{ failRun: { failure: { type: "NonDeterminism" } } }] },
      heldIs(0),
      { noFact: { fact: "caught" } },
      { noFact: { fact: "step", key: "b" } },
    ],
  },
  {
    name: "kind-mismatch-in-journal",
    proves: "fails the run with type NonDeterminism when the journal has something else under a key",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "catch", do: [step("x", 1)] }, step("b", 1)], { journal: [{ stepKey: "x", timerFired: {} }] }, 1),
      accepted(1),
      { op: [{ failRun: { failure: { type: "NonDeterminism" } } }] },
      heldIs(0),
      assign([{ op: "signal", name: "x" }], { journal: [{ stepKey: "x", completed: { output: { json: "1" } } }] }, 2),
      accepted(2),
      { op: [{ failRun: { failure: { type: "NonDeterminism" } } }], lease: 2 },
      heldIs(0),
      { noFact: { fact: "caught" } },
    ],
  },
  {
    name: "history-limit",
    proves: "fails the run with type HistoryLimit when its history is at the limit",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "catch", do: [step("a", 1)] }]),
      accepted(),
      { op: [completeStep("a", "1")], like: { opId: "=refused" }, answer: refused("HISTORY_LIMIT") },
      { op: [{ failRun: { failure: { type: "HistoryLimit" } } }], like: { afterRefused: "=refused" } },
      heldIs(0),
      { noFact: { fact: "caught" } },
    ],
  },
  {
    name: "payload-too-large",
    proves:
      "fails a step whose result is too large with type PayloadTooLarge, not to be retried; at the limit it passes",
    server: "scripted",
    actions: [
      ...welcomed({
        settings: { leaseTtlMs: "30000", beatIntervalMs: "10000", watchdogMs: "25000", payloadBytesMax: "1000" },
      }),
      assign([
        { op: "step", key: "at", bytes: 1_000 },
        { op: "catch", do: [{ op: "step", key: "over", bytes: 1_001 }] },
        { op: "catch", do: [step("refused", 1)] },
      ]),
      accepted(),
      { op: [{ completeStep: { stepKey: "at", output: { json: "*" } } }] },
      {
        op: [{ failStep: { stepKey: "over", failure: { type: "PayloadTooLarge", nonRetryable: true } } }],
        answer: { applied: { results: [{ index: 0, exhausted: { attempt: 1 } }] } },
      },
      {
        fact: { fact: "caught", error: { reason: "STEP_FAILED", stepKey: "over", cause: { type: "PayloadTooLarge" } } },
      },
      { op: [completeStep("refused", "1")], answer: refused("PAYLOAD_TOO_LARGE") },
      {
        op: [{ failStep: { stepKey: "refused", failure: { type: "PayloadTooLarge", nonRetryable: true } } }],
        answer: { applied: { results: [{ index: 0, exhausted: { attempt: 1 } }] } },
      },
      { fact: { fact: "caught", error: { stepKey: "refused" } } },
      // The output holds the first result and is itself too large.
      { op: [{ failRun: { failure: { type: "PayloadTooLarge" } } }] },
      heldIs(0),
    ],
  },
  {
    name: "signal-races-suspend",
    proves: "goes on under its lease when a suspend is refused NOTICES_PENDING, with the notice that comes",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "signal", name: "go" }, step("a", 1)], {}, 1),
      accepted(1),
      {
        op: [{ suspendRun: { awaits: [{ signal: "go" }], noticesSeen: "2" } }],
        like: { opId: "=refused" },
        answer: refused("NOTICES_PENDING", transient),
      },
      notice(3, { signal: { signalId: "3", name: "go", payload: { json: "8" } } }, 1),
      { op: [{ consumeSignal: { stepKey: "go" } }], like: { afterRefused: "=refused" }, answer: signalled("8") },
      { op: [completeStep("a", "1")] },
      ...completes("[8,1]", 1),
      // The notice overtakes the refusal.
      assign([{ op: "signal", name: "go" }], {}, 2),
      accepted(2),
      { op: [{ suspendRun: { noticesSeen: "2" } }], lease: 2, answer: "nothing" },
      notice(3, { signal: { signalId: "3", name: "go", payload: { json: "9" } } }, 2),
      { sync: true },
      { noFrame: "consumeSignal" },
      { reply: refused("NOTICES_PENDING", transient) },
      { op: [{ consumeSignal: { stepKey: "go" } }], lease: 2, answer: signalled("9") },
      ...completes("[9]", 2),
    ],
  },
  {
    name: "suspend-refused-without-notice",
    proves: "gives the run back when a suspend is refused NOTICES_PENDING and no notice comes",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "signal", name: "go" }]),
      accepted(),
      { op: [{ suspendRun: "*" }], answer: refused("NOTICES_PENDING", transient) },
      { frame: "release", like: { leases: [lease()] } },
      heldIs(0),
    ],
  },
  {
    name: "no-signal",
    proves: "waits on when the signal that it wanted to consume is not there",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "signal", name: "go" }], { openSignals: [{ signalId: "1", name: "go" }] }),
      accepted(),
      { op: [{ consumeSignal: { stepKey: "go" } }], like: { opId: "=refused" }, answer: refused("NO_SIGNAL") },
      { op: [{ suspendRun: { awaits: [{ signal: "go" }] } }], like: { afterRefused: "=refused" } },
      heldIs(0),
    ],
  },
  {
    name: "wait-timed-out",
    proves: "ends a wait without a signal when the timer was first, and leaves the signal to the next wait",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([
        { op: "signal", name: "go", timeoutMs: 900 },
        { op: "signal", name: "go" },
      ]),
      accepted(),
      { op: [{ setTimer: { stepKey: "go" } }], answer: "nothing" },
      notice(4, { signal: { signalId: "4", name: "go", payload: { json: "7" } } }),
      { reply: { applied: { results: [{ index: 0, timer: { delayMs: "500" } }] } } },
      { op: [{ consumeSignal: { stepKey: "go" } }], answer: refused("WAIT_TIMED_OUT") },
      { op: [{ consumeSignal: { stepKey: "go#2" } }], answer: signalled("7") },
      ...completes('[{"timedOut":true},7]'),
    ],
  },
  {
    name: "call-refused",
    proves: "gives any other refusal to the code as an error with its reason, and goes on",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "catch", do: [step("a", 1)] }, step("b", 2)]),
      accepted(),
      {
        op: [completeStep("a", "1")],
        like: { opId: "=refused" },
        answer: refused("INVALID", { field: "changes[0].step_key" }),
      },
      { fact: { fact: "caught", error: { reason: "INVALID" } } },
      { op: [completeStep("b", "2")], like: { afterRefused: "=refused" } },
      { op: [{ completeRun: "*" }] },
      heldIs(0),
    ],
  },
  {
    name: "end-refused",
    proves: "gives the run back when its end is refused",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([]),
      accepted(),
      { op: [completeRun("[]")], answer: refused("INVALID_STATE") },
      { frame: "release", like: { leases: [lease()] } },
      heldIs(0),
    ],
  },
];
