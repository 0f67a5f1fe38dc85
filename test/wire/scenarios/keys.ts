// Step keys.
import type { ScriptedScenario } from "../scenario.ts";
import { accepted, assign, completedEntry, completes, completeStep, held, heldIs, step, welcomed } from "./parts.ts";

const hostile = [
  "0",
  "3",
  "-1",
  "a b",
  "#",
  "a#b",
  "#1x",
  'say "hi"\\n',
  "line\nbreak\ttab",
  "../../etc/passwd",
  "Ünïcode-шаг-步骤",
  "😀",
  "__proto__",
  "constructor",
  "' OR 1=1 --",
  "%00%s{}$(x)",
];

const invalid = (key: string) => ({ op: "catch", do: [step(key, 1)] }) as const;
const isInvalid = { fact: { fact: "caught", error: { reason: "INVALID_ARGUMENT" } } } as const;

export const keys: readonly ScriptedScenario[] = [
  {
    name: "repeated-keys",
    proves: "names the second use of a key key#2, the third key#3, in call order, over steps, sleeps and waits",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([
        { op: "loop", times: 2, do: [{ op: "step", key: "s", resultOf: "stepKey" }] },
        { op: "sleep", key: "s", ms: 100 },
        { op: "fact", of: "stepKeys" },
      ]),
      accepted(),
      { op: [completeStep("s", '"s"')] },
      { op: [completeStep("s#2", '"s#2"')] },
      { op: [{ setTimer: { stepKey: "s#3" } }] },
      {
        send: {
          notices: { notices: [{ leaseId: Buffer.alloc(16, 1).toString("base64"), seq: "6", timerFired: "s#3" }] },
        },
      },
      ...completes('[[["s"],["s#2"]],null,["s","s#2","s#3"]]'),
    ],
  },
  {
    name: "hostile-keys",
    proves: "takes any text as a step key: integers, blanks, quotes, line breaks, other scripts, names of the language",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign(hostile.map((key) => step(key, key))),
      accepted(),
      ...hostile.map((key) => ({ op: [completeStep(key, JSON.stringify(key))] })),
      ...completes(JSON.stringify(hostile)),
    ],
  },
  {
    name: "hostile-keys-in-journal",
    proves: "finds recorded results under any key",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign(
        hostile.map((key) => step(key, "wrong")),
        { journal: hostile.map((key) => completedEntry(key, JSON.stringify(key))) },
      ),
      accepted(),
      ...completes(JSON.stringify(hostile)),
      { noFact: { fact: "step" } },
    ],
  },
  {
    name: "keys-that-are-refused",
    proves: "refuses an empty key and a key that ends in # and digits, by name, without asking the server",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([invalid(""), invalid("a#2"), invalid("#0"), invalid("x".repeat(2_000)), step("ok", 1)]),
      accepted(),
      isInvalid,
      isInvalid,
      isInvalid,
      isInvalid,
      { op: [completeStep("ok", "1")] },
      { op: [{ completeRun: "*" }] },
      heldIs(0),
    ],
  },
  {
    name: "ambiguous-key",
    proves: "refuses a key that two branches use at the same time: AMBIGUOUS_STEP_KEY",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ op: "parallel", branches: [[held("a")], [{ op: "catch", do: [step("a", 2)] }]] }]),
      accepted(),
      { fact: { fact: "caught", error: { reason: "AMBIGUOUS_STEP_KEY" } } },
      { tell: { cmd: "finish", run: "run-1", key: "a" }, value: true },
      { op: [completeStep("a", '"held"')] },
      { op: [{ completeRun: "*" }] },
      heldIs(0),
    ],
  },
  {
    name: "step-facts",
    proves: "tells a step function its run, key, attempt, fencing token and an idempotency key that all attempts share",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign(
        [
          { op: "step", key: "a", resultOf: "runId" },
          { op: "step", key: "b", resultOf: "attempt" },
          { op: "step", key: "c", resultOf: "fencingToken" },
          { op: "step", key: "d", resultOf: "idempotencyKey" },
          { op: "fact", of: "runKey" },
          { op: "fact", of: "workflow" },
          { op: "fact", of: "namespace" },
          { op: "fact", of: "fencingToken" },
        ],
        { runKey: "order-1" },
      ),
      accepted(),
      { op: [completeStep("a", '"run-1"')] },
      { op: [completeStep("b", "1")] },
      { op: [completeStep("c", "7")] },
      { op: [completeStep("d", '"run-1/d"')] },
      ...completes('["run-1",1,7,"run-1/d","order-1","program","default",7]'),
    ],
  },
];
