import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";

export type RunsClient = Client<typeof RunService>;

export function createRunsClient(url: string): RunsClient {
  return createClient(RunService, createGrpcTransport({ baseUrl: url }));
}

/** How many runs the file holds in this status. */
export async function countRuns(client: RunsClient, status: RunStatus): Promise<number> {
  const { counts } = await client.countRuns({ filter: { statuses: [status] } });
  return Number(counts[0]?.count ?? 0n);
}

const chunk = 1_000;

/** Starts this many runs of workflow `bench`. */
export async function startMany(client: RunsClient, count: number): Promise<void> {
  for (let left = count; left > 0; left -= chunk) {
    await client.startRuns({ runs: Array.from({ length: Math.min(left, chunk) }, () => ({ workflow: "bench" })) });
  }
}
