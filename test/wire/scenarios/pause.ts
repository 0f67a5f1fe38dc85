// A pause that meets steps at any point of theirs: what runs finishes, nothing else begins, the run is given back.
import type { ScriptedAction, ScriptedScenario } from "../scenario.ts";
import {
  accepted,
  assign,
  completeStep,
  held,
  heldIs,
  lease,
  notice,
  refused,
  step,
  transient,
  welcomed,
} from "./parts.ts";

/** The held step ends, and its result acknowledges a refusal where there was one. */
const finishes = (key: string, afterRefused = "0"): ScriptedAction[] => [
  { tell: { cmd: "finish", run: "run-1", key }, value: true },
  { op: [completeStep(key, '"held"')], like: { afterRefused } },
];
/** The run goes back, without the step that was to come and with nothing aborted. */
const givesBack = (notBegun: string): ScriptedAction[] => [
  { frame: "release", like: { leases: [lease()] } },
  heldIs(0),
  { noFact: { fact: "step", key: notBegun } },
  { noFact: { fact: "aborted" } },
];

export const pause: readonly ScriptedScenario[] = [
  {
    name: "pause",
    proves: "starts no new step after a pause notice, lets the running one finish, and gives the run back",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([held("a"), step("b", 1)]),
      accepted(),
      { fact: { fact: "step", key: "a" } },
      notice(3, { pause: { graceMs: "30000" } }),
      { sync: true },
      ...finishes("a"),
      ...givesBack("b"),
    ],
  },
  {
    name: "run-paused-at-start",
    proves:
      "lets a function that runs finish when its start comes after a pause, sends its result, and gives the run back",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ ...held("a"), input: { cents: 5 } }, step("b", 1)]),
      accepted(),
      { op: [{ startStep: { stepKey: "a", input: "*" } }], like: { opId: "=start" }, answer: refused("RUN_PAUSED") },
      { fact: { fact: "step", key: "a" } },
      { sync: true },
      { noFrame: "release" },
      ...finishes("a", "=start"),
      ...givesBack("b"),
    ],
  },
  {
    name: "run-paused-at-starts",
    proves: "once a start was refused because of a pause sends no other: what runs finishes, nothing else begins",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([
        {
          op: "parallel",
          branches: [
            [{ ...held("a"), input: 1 }],
            [{ ...held("b"), input: 2 }],
            [{ ...step("pay", 3), atMostOnce: true }],
          ],
        },
      ]),
      accepted(),
      { op: [{ startStep: { stepKey: "a", input: "*" } }], like: { opId: "=start" }, answer: "nothing" },
      { op: [{ startStep: { stepKey: "b", input: "*" } }], answer: "nothing" },
      { op: [{ startStep: { stepKey: "pay", atMostOnce: true } }], answer: "nothing" },
      { reply: refused("RUN_PAUSED") },
      { reply: refused("PRECEDING_FAILED", transient) },
      { reply: refused("PRECEDING_FAILED", transient) },
      { sync: true },
      { noFrame: "op" },
      { noFrame: "release" },
      ...finishes("b", "=start"),
      ...finishes("a"),
      ...givesBack("pay"),
    ],
  },
  {
    name: "run-paused-behind-step",
    proves: "begins no new step when a start is refused because of a pause and its function has ended already",
    server: "scripted",
    actions: [
      ...welcomed(),
      assign([{ ...step("a", 1), input: { cents: 5 } }, step("b", 2)]),
      accepted(),
      { op: [{ startStep: { stepKey: "a", input: "*" } }], like: { opId: "=start" }, answer: "nothing" },
      { op: [completeStep("a", "1")], answer: "nothing" },
      { reply: refused("RUN_PAUSED") },
      { reply: refused("PRECEDING_FAILED", transient) },
      { op: [completeStep("a", "1")], like: { afterRefused: "=start" } },
      ...givesBack("b"),
    ],
  },
];
