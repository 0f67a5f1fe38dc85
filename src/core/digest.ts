import type { Change } from "./command.ts";

// The digest of an op's content tells a repeat from another op under the same op_id. It guards against mistakes of a
// worker, not against an attacker (who holds the lease anyway), so a fast mixing hash does. 53 bits, a safe integer.

/** Digest of the changes of an op: the same for the same content, however it came over the wire. */
export function digestOf(changes: readonly Change[]): number {
  const lanes = { high: 0xdeadbeef, low: 0x41c6ce57 };
  for (const change of changes) mixValue(lanes, change);
  let { high, low } = lanes;
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & high) + (low >>> 0);
}

interface Lanes {
  high: number;
  low: number;
}

function mix(lanes: Lanes, unit: number): void {
  lanes.high = Math.imul(lanes.high ^ unit, 2654435761);
  lanes.low = Math.imul(lanes.low ^ unit, 1597334677);
}

function mixValue(lanes: Lanes, value: unknown): void {
  if (typeof value === "string") {
    mix(lanes, value.length + 0x10000);
    for (let i = 0; i < value.length; i++) mix(lanes, value.charCodeAt(i));
  } else if (typeof value === "number") {
    mix(lanes, 0x20001);
    mix(lanes, value | 0);
    mix(lanes, Math.floor(value / 4294967296) | 0);
    mix(lanes, Math.round((value - Math.floor(value)) * 1_000_000) | 0);
  } else if (typeof value === "boolean") {
    mix(lanes, value ? 0x30001 : 0x30002);
  } else if (value instanceof Uint8Array) {
    mix(lanes, value.length + 0x40000);
    for (let i = 0; i < value.length; i++) mix(lanes, value[i] as number);
  } else if (Array.isArray(value)) {
    mix(lanes, value.length + 0x50000);
    for (const item of value) mixValue(lanes, item);
  } else if (typeof value === "object" && value !== null) {
    mix(lanes, 0x60001);
    for (const key in value) mixValue(lanes, (value as Record<string, unknown>)[key]);
  } else mix(lanes, 0x70001);
}
