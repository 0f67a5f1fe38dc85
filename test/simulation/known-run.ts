import type { RunEvent } from "../../src/core/event.ts";
import type { RunRow } from "../../src/store/store.ts";

// What is known of a run from the events that are durable, for the checker and for those who judge answers by it.

export interface KnownRun {
  readonly runNo: number;
  readonly runId: string;
  lastSeq: number;
  lastAtMs: number;
  epoch: number;
  leaseId: string;
  leased: boolean;
  grantedAtMs: number;
  ttlMs: number;
  stepsCompleted: number;
  ended: RunEvent["type"] | undefined;
  everEnded: boolean;
  cancelled: boolean;
  pauses: number;
  pausedBy: string;
  /** "type key" of every event that has a step key. */
  readonly facts: Set<string>;
  readonly results: Map<string, string | undefined>;
  readonly failed: Set<string>;
  readonly signals: Map<number, { readonly requestId: string; consumed: boolean }>;
  readonly requests: Set<string>;
}

export function newRun({ runNo, runId }: Pick<RunRow, "runNo" | "runId">): KnownRun {
  return {
    runNo,
    runId,
    lastSeq: 0,
    lastAtMs: 0,
    epoch: 0,
    leaseId: "",
    leased: false,
    grantedAtMs: 0,
    ttlMs: 0,
    stepsCompleted: 0,
    ended: undefined,
    everEnded: false,
    cancelled: false,
    pauses: 0,
    pausedBy: "",
    facts: new Set(),
    results: new Map(),
    failed: new Set(),
    signals: new Map(),
    requests: new Set(),
  };
}
