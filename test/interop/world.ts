import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { Event } from "../../gen/ts/everstep/v1/event_pb.ts";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { ServerProcess } from "../support/server-process.ts";
import type { Peer } from "./peers.ts";

/** A server process on a file of its own for all tests of a file. */
export function useServer(args: string[] = []): { readonly url: string } {
  const folder = mkdtempSync(join(tmpdir(), "everstep-interop-"));
  let server: ServerProcess | undefined;
  beforeAll(async () => {
    server = await ServerProcess.start({ db: join(folder, "everstep.db"), args });
  });
  afterAll(async () => {
    await server?.signal("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    get url(): string {
      if (server === undefined) throw new Error("the server has not been started");
      return server.url;
    },
  };
}

export const json = (value: unknown) => ({ data: { case: "json" as const, value: JSON.stringify(value) } });

/** Takes the one run that waits on this queue. */
export async function acquire(peer: Peer, queue: string): Promise<Lease> {
  const { assignment } = await peer.leases.acquireLease({ queues: [queue], workerId: "interop", waitMs: 10_000n });
  if (assignment?.lease === undefined) throw new Error(`nothing could be acquired from ${queue}`);
  return assignment.lease;
}

export async function historyOf(peer: Peer, runId: string): Promise<Event[]> {
  const { events, nextPageToken } = await peer.runs.getRunHistory({ runId, pageSize: 1_000 });
  if (nextPageToken !== "") throw new Error(`the history of ${runId} does not fit into one page`);
  return events;
}
