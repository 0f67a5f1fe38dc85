import type { LeaseHandle } from "../../engine/frames.ts";
import { leaseIdBytes } from "../convert/lease.ts";

// Leases that this stream has spoken of, found by their bytes: an op names its lease with a run id and sixteen bytes,
// and making texts of these for each op cost more than reading the rest of it. Only a memory of what was read before:
// it says nothing about whether the lease lives.

export interface KnownLeases {
  /** The lease with these bytes at these places, if it was added. */
  find(bytes: Uint8Array, at: LeasePlaces): LeaseHandle | undefined;
  add(bytes: Uint8Array, at: LeasePlaces, lease: LeaseHandle): void;
  /** No more ops of it are expected. */
  forget(leaseId: Uint8Array, at?: number): void;
  readonly size: number;
}

export interface LeasePlaces {
  readonly runIdAt: number;
  readonly runIdLength: number;
  readonly leaseIdAt: number;
  readonly epoch: number;
}

interface Known {
  readonly runId: Uint8Array;
  readonly leaseId: Uint8Array;
  readonly lease: LeaseHandle;
}

export function createKnownLeases(leasesMax: number): KnownLeases {
  // By the first thirty bits, which are random: two leases that share them take turns.
  const known = new Map<number, Known>();
  const keyOf = (bytes: Uint8Array, at: number): number =>
    ((bytes[at] as number) << 22) |
    ((bytes[at + 1] as number) << 14) |
    ((bytes[at + 2] as number) << 6) |
    ((bytes[at + 3] as number) >> 2);

  return {
    find(bytes, { runIdAt, runIdLength, leaseIdAt, epoch }) {
      const found = known.get(keyOf(bytes, leaseIdAt));
      if (found === undefined || found.lease.epoch !== epoch || found.runId.length !== runIdLength) return undefined;
      return isAt(found.leaseId, bytes, leaseIdAt) && isAt(found.runId, bytes, runIdAt) ? found.lease : undefined;
    },
    add(bytes, { runIdAt, runIdLength, leaseIdAt }, lease) {
      if (known.size >= leasesMax) known.clear();
      known.set(keyOf(bytes, leaseIdAt), {
        runId: copyOf(bytes, runIdAt, runIdLength),
        leaseId: copyOf(bytes, leaseIdAt, leaseIdBytes),
        lease,
      });
    },
    forget(leaseId, at = 0) {
      known.delete(keyOf(leaseId, at));
    },
    get size() {
      return known.size;
    },
  };
}

/** Not a view, which would keep the whole message in memory; `slice` of a Buffer is one. */
function copyOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return new Uint8Array(bytes.subarray(at, at + length));
}

function isAt(part: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < part.length; i++) if (part[i] !== bytes[at + i]) return false;
  return true;
}
