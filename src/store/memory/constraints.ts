import { resultTypes } from "../../core/event.ts";
import type { Batch, RunRow } from "../store.ts";
import { isOpenWithKey, keyOf, type Tables } from "./store.ts";

/** The constraints of the file, judged on what it would hold behind the batch. Undefined when all of them hold. */
export function checkBatch(tables: Tables, batch: Batch): string | undefined {
  return checkEvents(tables, batch) ?? checkRuns(tables, batch.runs);
}

function checkEvents(tables: Tables, batch: Batch): string | undefined {
  const newSeqs = new Set<string>();
  const newResults = new Set<string>();
  for (const { runNo, event } of batch.events) {
    const place = keyOf(runNo, event.seq);
    if (newSeqs.has(place) || tables.events.get(runNo)?.some((known) => known.seq === event.seq) === true) {
      return `run number ${runNo} has an event with seq ${event.seq}`;
    }
    newSeqs.add(place);
    if (!resultTypes.has(event.type)) continue;
    const result = keyOf(runNo, event.stepKey);
    if (newResults.has(result) || tables.results.has(result)) {
      return `run number ${runNo} has a result of step "${event.stepKey}"`;
    }
    newResults.add(result);
  }
  return undefined;
}

function checkRuns(tables: Tables, rows: readonly RunRow[]): string | undefined {
  const written = new Map(rows.map((row) => [row.runNo, row]));
  const newIds = new Set<string>();
  const newKeys = new Set<string>();
  for (const row of rows) {
    const before = tables.runs.get(row.runNo);
    if (before !== undefined && (before.namespace !== row.namespace || before.runId !== row.runId)) {
      return `run number ${row.runNo} is another run`;
    }
    const id = keyOf(row.namespace, row.runId);
    if (newIds.has(id) || (tables.runNos.get(id) ?? row.runNo) !== row.runNo) return `run id "${row.runId}" is taken`;
    newIds.add(id);
    if (!isOpenWithKey(row)) continue;
    const key = keyOf(row.namespace, row.workflow, row.runKey);
    const owner = tables.openKeys.get(key);
    if (newKeys.has(key) || (owner !== undefined && !written.has(owner))) return `run key "${row.runKey}" is taken`;
    newKeys.add(key);
  }
  return undefined;
}
