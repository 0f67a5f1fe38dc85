import type { Parameters } from "../result.ts";
import { hasGo } from "./go-programs.ts";
import { createGoStepWorker } from "./go-step-worker.ts";
import { createStepWorker } from "./step-worker.ts";

/**
 * The raw client that keeps runs of 20 steps going. On two cores the server lacks what its client uses, so it is the one
 * in Go, in a process of its own, where Go is installed and no other is asked for.
 */
export function startRawClient(url: string, { inFlight, language }: Parameters) {
  const client = language === "" ? (hasGo() ? "go" : "typescript") : language;
  const create = client === "go" ? createGoStepWorker : createStepWorker;
  return { client, worker: create(url, { capacity: inFlight, stepsPerRun: 20 }) };
}
