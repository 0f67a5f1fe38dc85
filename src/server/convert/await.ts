import type { Await } from "../../core/event.ts";
import { awaitsMax } from "../../limits.ts";
import type { Await as WireAwait } from "../../../gen/ts/everstep/v1/event_pb.ts";
import { checkCount, checkName, checkStepKey, each, invalid } from "../validate.ts";

export function awaitsFrom(wire: readonly WireAwait[]): Await[] {
  checkCount("awaits", wire.length, 1, awaitsMax);
  return each("awaits", wire, awaitFrom);
}

function awaitFrom({ what, stepKey }: WireAwait): Await {
  if (stepKey !== "" && what.case !== "signal") throw invalid("step_key", "goes with a signal only");
  switch (what.case) {
    case "timer":
      return { kind: "timer", stepKey: checkStepKey(what.value, "timer") };
    case "signal":
      return {
        kind: "signal",
        name: checkName("signal", what.value),
        ...(stepKey === "" ? {} : { stepKey: checkStepKey(stepKey) }),
      };
    case "retry":
      return { kind: "retry", stepKey: checkStepKey(what.value, "retry") };
    case "any":
      return { kind: "any" };
    default:
      throw invalid("what", "is not set, or of a kind that is unknown here");
  }
}

export function awaitTo(awaited: Await): WireAwait {
  const stepKey = awaited.kind === "signal" ? (awaited.stepKey ?? "") : "";
  return { $typeName: "everstep.v1.Await", what: whatOf(awaited), stepKey };
}

function whatOf(awaited: Await): WireAwait["what"] {
  switch (awaited.kind) {
    case "signal":
      return { case: "signal", value: awaited.name };
    case "any":
      return { case: "any", value: { $typeName: "everstep.v1.AnyArrival" } };
    default:
      return { case: awaited.kind, value: awaited.stepKey };
  }
}
