import type { Refusal } from "./errors.ts";
import type { EventDetails, EventOf, EventTypeName, RunEvent } from "./event.ts";
import { type Payload, payloadBytes, utf8Length } from "./payload.ts";
import type { PendingStart, RunState } from "./state.ts";

/** What a worker has to know of an applied change; `index` is the change's place in its op. */
export type ChangeNote =
  | { readonly kind: "retry"; readonly index: number; readonly nextAttempt: number; readonly retryAtMs: number }
  | { readonly kind: "exhausted"; readonly index: number; readonly attempt: number }
  | { readonly kind: "signal"; readonly index: number; readonly signalSeq: number }
  | { readonly kind: "stored"; readonly index: number; readonly seq: number }
  | { readonly kind: "timer"; readonly index: number; readonly firesAtMs: number };

export interface Accepted {
  readonly kind: "accepted";
  /** To be recorded, in order; none when nothing changes. */
  readonly events: readonly RunEvent[];
  /** Starts that wait for the end of their batch, by step key, see PendingStart. Applied behind the events. */
  readonly starts: ReadonlyMap<string, PendingStart>;
  /** True when it had been applied before, or changes nothing. */
  readonly already: boolean;
  readonly notes: readonly ChangeNote[];
}

/** The op was applied under this epoch before; its result is read from the events that it wrote. */
export interface Repeated {
  readonly kind: "repeated";
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** The op may have been applied under an earlier epoch: only the file knows. */
export interface LookUp {
  readonly kind: "lookUp";
}

export type Decision = Accepted | Repeated | LookUp | Refusal;

/** What decide may know beside the state. */
export interface DecideContext {
  readonly nowMs: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** The payload of an event of this run: read before deciding, for steps that already have a result. */
  readonly stored: (seq: number) => Payload | undefined;
  readonly limits: DecideLimits;
}

export interface DecideLimits {
  readonly historyEventsMax: number;
  readonly historyBytesMax: number;
  readonly reservedEvents: number;
  readonly reservedBytes: number;
  readonly openSignalsMax: number;
  readonly pendingTimersMax: number;
  readonly deliveriesMax: number;
}

const nothing: readonly never[] = [];
export const noStarts: ReadonlyMap<string, PendingStart> = new Map();

export function accept(events: readonly RunEvent[], notes: readonly ChangeNote[] = nothing): Accepted {
  return { kind: "accepted", events, starts: noStarts, already: false, notes };
}

export function alreadyApplied(notes: readonly ChangeNote[] = nothing): Accepted {
  return { kind: "accepted", events: nothing, starts: noStarts, already: true, notes };
}

export interface EventMore {
  readonly epoch?: number;
  readonly opId?: number;
  readonly opDigest?: number;
  readonly stepKey?: string;
  readonly startedAtMs?: number;
  readonly payload?: Payload | undefined;
}

/** Builds an event in the one shape that all of them have. */
export function newEvent<T extends EventTypeName>(
  type: T,
  seq: number,
  atMs: number,
  detail: EventDetails[T],
  more: EventMore = {},
): RunEvent {
  const payload = more.payload;
  const event: EventOf<T> = {
    type,
    seq,
    atMs,
    epoch: more.epoch ?? 0,
    opId: more.opId ?? 0,
    opDigest: more.opDigest ?? 0,
    stepKey: more.stepKey ?? "",
    startedAtMs: more.startedAtMs ?? 0,
    payload,
    bytes: payloadBytes(payload) + detailBytes(detail),
    detail,
  };
  return event as RunEvent;
}

/** Size of a detail that counts in the history's limit: an estimate that is the same before and after storing. */
export function detailBytes(detail: unknown): number {
  if (detail === undefined || detail === null) return 0;
  if (typeof detail === "string") return utf8Length(detail);
  if (detail instanceof Uint8Array) return detail.length;
  if (typeof detail !== "object") return 8;
  let bytes = 0;
  for (const value of Object.values(detail)) if (value !== undefined) bytes += 8 + detailBytes(value);
  return bytes;
}

/** Step key of a signal or timer that came without one. No user can have it: a key is not empty before its "#n". */
export function serverKey(seq: number): string {
  return `#${seq}`;
}
export function isServerKey(stepKey: string): boolean {
  return stepKey.startsWith("#");
}

/** The payload of an event of this run, which may be one of `decided`: these are not in the history yet. */
export function payloadAt(
  seq: number,
  decided: readonly RunEvent[],
  stored: DecideContext["stored"],
): Payload | undefined {
  const first = decided[0];
  return first === undefined || seq < first.seq ? stored(seq) : decided[seq - first.seq]?.payload;
}

/** Numbers the events of one decision. */
export function sequence(state: RunState, nowMs: number) {
  let seq = state.lastSeq;
  return <T extends EventTypeName>(type: T, detail: EventDetails[T], more?: EventMore): RunEvent => {
    seq += 1;
    return newEvent(type, seq, nowMs, detail, more);
  };
}
