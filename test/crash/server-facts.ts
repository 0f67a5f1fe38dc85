import { readdirSync, readFileSync } from "node:fs";
import type { Rig } from "./rig.ts";

// What a server says of itself at /metrics, and what the system says of its process.

/** The value of a metric, by its name behind "everstep_": of all its labels together. */
export async function metricsOf({ url }: Rig): Promise<(name: string) => number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return (name) => {
    // One with labels has no line before it first counts something; one that there is not would always be 0.
    if (!text.includes(`# TYPE everstep_${name} `)) throw new Error(`there is no metric everstep_${name}`);
    const lines = text.matchAll(new RegExp(`^everstep_${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"));
    return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
  };
}

export function rssKiBOf({ server }: Rig): number {
  const status = readFileSync(`/proc/${server.child.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}

export function descriptorsOf({ server }: Rig): number {
  return readdirSync(`/proc/${server.child.pid}/fd`).length;
}

/** What the server holds of its workers. */
export interface Held {
  readonly sessions: number;
  readonly leases: number;
  readonly streams: number;
  readonly descriptors: number;
  readonly rssMiB: number;
}

export async function heldBy(rig: Rig): Promise<Held> {
  const metric = await metricsOf(rig);
  return {
    sessions: metric("sessions"),
    leases: metric("leases"),
    streams: metric("rpc_streams"),
    descriptors: descriptorsOf(rig),
    rssMiB: Math.round(rssKiBOf(rig) / 1024),
  };
}
