import type { RunRef } from "../engine/api.ts";
import { checkNamespace, checkRunId } from "./validate.ts";

/** The run that a request names. */
export function refFrom(wire: { readonly namespace: string; readonly runId: string }): RunRef {
  return { namespace: checkNamespace(wire.namespace), runId: checkRunId(wire.runId) };
}
