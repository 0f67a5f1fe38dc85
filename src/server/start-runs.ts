import { EngineError, type Refusal } from "../core/errors.ts";
import type { Engine, StartOutcome, StartRequest } from "../engine/api.ts";
import { startRunsMax } from "../limits.ts";
import type { StartRunRequest } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { startFrom } from "./convert/start.ts";
import { checkCount } from "./validate.ts";

/** A batch of starts, each for itself: one that is refused, here or by the engine, refuses no other. */
export async function startRuns(engine: Engine, wire: readonly StartRunRequest[]) {
  checkCount("runs", wire.length, 1, startRunsMax);
  const checked = wire.map((start) => checkStart(engine, start));
  const starts = checked.filter((start): start is StartRequest => !("kind" in start));
  const outcomes = starts.length === 0 ? [] : await engine.startRuns(starts);
  let next = 0;
  const results = checked.map((start) => resultOf("kind" in start ? start : outcomes[next++]));
  return { results };
}

function checkStart(engine: Engine, wire: StartRunRequest): StartRequest | Refusal {
  try {
    return startFrom(wire, engine.settings.payloadBytesMax);
  } catch (error) {
    if (error instanceof EngineError) return error.refusal;
    throw error;
  }
}

function resultOf(outcome: StartOutcome | undefined) {
  if (outcome === undefined) throw new Error("the engine gave fewer outcomes than starts");
  if (outcome.kind === "started") {
    const { runId, already } = outcome;
    return { result: { case: "started" as const, value: { runId, alreadyStarted: already } } };
  }
  const { reason, message, field, runId } = outcome;
  return { result: { case: "refused" as const, value: { reason, message, field, runId } } };
}
