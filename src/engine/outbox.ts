import type { ServerFrame } from "./frames.ts";

// Frames that wait for one stream to take them, in two lanes: results, notices and beats are not held up by
// assignments. A notice for a lease whose assignment still waits goes behind it, in its lane. Bounded by the session,
// which cuts off a stream that does not read.

export type Lane = "urgent" | "assign";

export interface Outbox {
  push(frame: ServerFrame, lane: Lane, bytes: number): void;
  /** Frames of about `bytesMax` bytes, at least one; urgent ones first. Empty when there is nothing. */
  take(bytesMax: number): ServerFrame[];
  /** Removes what waits for this lease in the assign lane; used when it ends before it was handed over. */
  withdraw(leaseId: string): boolean;
  /** True while something of this lease waits in the assign lane. */
  holdsAssignment(leaseId: string): boolean;
  /** Takes no more; what is in may still be taken. */
  seal(): void;
  readonly length: number;
  readonly assignments: number;
  readonly bytes: number;
  readonly sealed: boolean;
}

interface Waiting {
  readonly frame: ServerFrame;
  readonly bytes: number;
}

export function createOutbox(options: {
  /** An assignment goes to the transport. */
  onHanded: (leaseId: string) => void;
  /** There is something to take; called once until the outbox was found empty. */
  onReady: () => void;
}): Outbox {
  let urgent: Waiting[] = [];
  let urgentFrom = 0;
  let assign: Waiting[] = [];
  /** Frames of each lease in the assign lane. */
  const assigned = new Map<string, number>();
  let bytes = 0;
  let sealed = false;
  let announced = false;

  return {
    push(frame, lane, frameBytes) {
      if (sealed) return;
      bytes += frameBytes;
      (lane === "urgent" ? urgent : assign).push({ frame, bytes: frameBytes });
      const leaseId = lane === "assign" ? leaseOf(frame) : undefined;
      if (leaseId !== undefined) assigned.set(leaseId, (assigned.get(leaseId) ?? 0) + 1);
      if (announced) return;
      announced = true;
      options.onReady();
    },
    take(bytesMax) {
      const frames: ServerFrame[] = [];
      let taken = 0;
      while (urgentFrom < urgent.length && taken < bytesMax) {
        const next = urgent[urgentFrom++] as Waiting;
        taken += next.bytes;
        frames.push(next.frame);
      }
      if (urgentFrom === urgent.length) {
        urgent = [];
        urgentFrom = 0;
      }
      let fromAssign = 0;
      while (fromAssign < assign.length && taken < bytesMax) {
        const next = assign[fromAssign++] as Waiting;
        taken += next.bytes;
        frames.push(next.frame);
        const leaseId = leaseOf(next.frame);
        if (leaseId === undefined) continue;
        const left = (assigned.get(leaseId) ?? 1) - 1;
        if (left === 0) assigned.delete(leaseId);
        else assigned.set(leaseId, left);
        if (next.frame.kind === "assign") options.onHanded(leaseId);
      }
      if (fromAssign > 0) assign = fromAssign === assign.length ? [] : assign.slice(fromAssign);
      bytes -= taken;
      if (frames.length === 0) announced = false;
      return frames;
    },
    withdraw(leaseId) {
      const before = assign.length;
      assign = assign.filter((waiting) => {
        if (leaseOf(waiting.frame) !== leaseId) return true;
        bytes -= waiting.bytes;
        return false;
      });
      assigned.delete(leaseId);
      return assign.length < before;
    },
    holdsAssignment: (leaseId) => assigned.has(leaseId),
    seal() {
      sealed = true;
    },
    get length() {
      return urgent.length - urgentFrom + assign.length;
    },
    get assignments() {
      return assigned.size;
    },
    get bytes() {
      return bytes;
    },
    get sealed() {
      return sealed;
    },
  };
}

function leaseOf(frame: ServerFrame): string | undefined {
  switch (frame.kind) {
    case "assign":
      return frame.assignment.lease.leaseId;
    case "journalChunk":
      return frame.leaseId;
    case "notice":
      return frame.notice.leaseId;
    default:
      return undefined;
  }
}

/** Bytes that a frame takes on the wire, roughly: what it carries beside its fixed parts. */
export const frameBytes = 64;
