import type { LeaseEndReason } from "../core/event.ts";
import type { GrantPlan } from "./assignment.ts";
import type { Notice } from "./frames.ts";
import type { LiveLease } from "./leases.ts";
import { type Line, type LineHead, type LineKey, lineId, type Lines } from "./lines.ts";

// Matching: the most urgent run that somebody with room can take goes to the least loaded of them. Takers (sessions
// and long-poll acquires) with the same subscription form a group; inside a group they lie in buckets by load, so that
// the least loaded one is found without looking at all of them, however many idle workers there are.

export interface Taker {
  readonly namespace: string;
  readonly identity: string;
  /** Empty for unary callers. */
  readonly instanceId: string;
  readonly requestId: string;
  readonly leaseTtlMs: number;
  /** Leases that it holds, decided ends left out. */
  readonly leases: Set<LiveLease>;
  /** How many it may hold. */
  capacity: number;
  /** False while nothing may be assigned: detached, draining, outbox full, too many offers unaccepted. */
  assignable(): boolean;
  /** The grant is durable: hand the work over. False when nobody is there any more. */
  deliver(lease: LiveLease, plan: GrantPlan): boolean;
  /** Something durable happened to the run that the holder has to know. */
  notice(lease: LiveLease, notice: Notice): void;
  /** The lease's end is durable; `byHolder` when the holder itself asked for it. */
  ended(lease: LiveLease, reason: LeaseEndReason, byHolder: boolean): void;
  group: Group | undefined;
  bucket: number;
}

export interface Group {
  readonly id: string;
  readonly namespace: string;
  readonly queues: readonly string[];
  /** Empty: every workflow of the queues. */
  readonly workflows: readonly string[];
  readonly lines: Map<string, Line>;
  readonly buckets: Set<Taker>[];
  takers: number;
  roomy: number;
}

const bucketCount = 32;

export interface Takers {
  join(taker: Taker, subscription: { queues: readonly string[]; workflows: readonly string[] }): void;
  leave(taker: Taker): void;
  /** Its load or its readiness changed. */
  update(taker: Taker): void;
  /** The most urgent run for which somebody has room, with the one that should get it. */
  match(): { line: Line; head: LineHead; taker: Taker } | undefined;
  /** About so many runs of the line can be granted now, the next one to this taker, if all lines have their share. */
  shareOf(line: Line, taker: Taker): number;
  /** Somebody has room somewhere. */
  anyRoom(): boolean;
  serves(key: LineKey): boolean;
}

export function createTakers(lines: Lines, workflowsOf: (namespace: string, queue: string) => string[]): Takers {
  const groups = new Map<string, Group>();
  /** Lines that somebody subscribes to, with their groups. */
  const served = new Map<string, { line: Line; groups: Set<Group> }>();
  let roomy = 0;

  function attach(group: Group, key: LineKey): void {
    const id = lineId(key);
    if (group.lines.has(id)) return;
    const line = lines.open(key);
    group.lines.set(id, line);
    let entry = served.get(id);
    if (entry === undefined) {
      entry = { line, groups: new Set() };
      served.set(id, entry);
    }
    entry.groups.add(group);
  }
  lines.onEnter = (key) => {
    for (const group of groups.values()) {
      if (group.workflows.length === 0 && group.namespace === key.namespace && group.queues.includes(key.queue)) {
        attach(group, key);
      }
    }
  };
  function bucketOf(taker: Taker): number {
    if (taker.capacity <= taker.leases.size || !taker.assignable()) return -1;
    return Math.floor((taker.leases.size / taker.capacity) * bucketCount);
  }
  function place(taker: Taker, bucket: number): void {
    const { group } = taker;
    if (group === undefined) return;
    if (taker.bucket >= 0) {
      group.buckets[taker.bucket]?.delete(taker);
      group.roomy -= 1;
      roomy -= 1;
    }
    taker.bucket = bucket;
    if (bucket >= 0) {
      group.buckets[bucket]?.add(taker);
      group.roomy += 1;
      roomy += 1;
    }
  }
  function leastLoaded(group: Group): Taker | undefined {
    for (const bucket of group.buckets) for (const taker of bucket) return taker;
    return undefined;
  }

  return {
    join(taker, { queues, workflows }) {
      const id = JSON.stringify([taker.namespace, [...queues].sort(), [...workflows].sort()]);
      let group = groups.get(id);
      if (group === undefined) {
        const buckets = Array.from({ length: bucketCount }, () => new Set<Taker>());
        group = { id, namespace: taker.namespace, queues, workflows, lines: new Map(), buckets, takers: 0, roomy: 0 };
        groups.set(id, group);
        for (const queue of queues) {
          const names = workflows.length > 0 ? workflows : workflowsOf(taker.namespace, queue);
          for (const workflow of names) attach(group, { namespace: taker.namespace, queue, workflow });
        }
      }
      group.takers += 1;
      taker.group = group;
      taker.bucket = -1;
      place(taker, bucketOf(taker));
    },
    leave(taker) {
      const { group } = taker;
      if (group === undefined) return;
      place(taker, -1);
      taker.group = undefined;
      group.takers -= 1;
      if (group.takers > 0) return;
      groups.delete(group.id);
      for (const id of group.lines.keys()) {
        const entry = served.get(id);
        entry?.groups.delete(group);
        if (entry?.groups.size === 0) {
          served.delete(id);
          lines.forget(entry.line);
        }
      }
    },
    update(taker) {
      const bucket = bucketOf(taker);
      // Moved to the end of its bucket even when the number is the same: ties go round.
      if (taker.bucket !== bucket || bucket >= 0) place(taker, bucket);
    },
    match() {
      if (roomy === 0) return undefined;
      let best: { line: Line; head: LineHead; groups: Set<Group> } | undefined;
      for (const { line, groups: subscribers } of served.values()) {
        if (isEmpty(line)) continue;
        let room = false;
        for (const group of subscribers) if (group.roomy > 0) room = true;
        if (!room) continue;
        const head = lines.head(line);
        if (head === undefined) continue;
        const sooner =
          best === undefined ||
          head.rank < best.head.rank ||
          (head.rank === best.head.rank && head.runNo < best.head.runNo);
        if (sooner) best = { line, head, groups: subscribers };
      }
      if (best === undefined) return undefined;
      let taker: Taker | undefined;
      for (const group of best.groups) {
        const candidate = group.roomy > 0 ? leastLoaded(group) : undefined;
        if (candidate !== undefined && (taker === undefined || candidate.bucket < taker.bucket)) taker = candidate;
      }
      return taker === undefined ? undefined : { line: best.line, head: best.head, taker };
    },
    shareOf(line, taker) {
      // This taker's room is known; each of the others that the line may go to has room for one at least.
      let room = taker.capacity - taker.leases.size - 1;
      for (const group of served.get(lineId(line))?.groups ?? []) room += group.roomy;
      let others = 0;
      for (const one of served.values()) if (one.line !== line && !isEmpty(one.line)) others += 1;
      return Math.ceil(room / (1 + others));
    },
    anyRoom: () => roomy > 0,
    serves(key) {
      for (const group of served.get(lineId(key))?.groups ?? []) if (group.takers > 0) return true;
      return false;
    },
  };
}

function isEmpty(line: Line): boolean {
  return line.complete && line.heads.length === 0;
}
