import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";

const chunk = 256;

/** Keeps some runs queued beyond those in flight, by StartRuns. `finished` says how many have ended. */
export function createStarter(url: string, options: { ahead: number; finished: () => number; input?: string }) {
  const client = createClient(RunService, createGrpcTransport({ baseUrl: url }));
  const request = {
    workflow: "bench",
    ...(options.input === undefined ? {} : { input: { data: { case: "json" as const, value: options.input } } }),
  };
  const runs = Array.from({ length: chunk }, () => request);
  let stopped = false;
  let started = 0;
  const loop = (async () => {
    while (!stopped) {
      if (started - options.finished() > options.ahead) await pause(1);
      else {
        await client.startRuns({ runs });
        started += chunk;
      }
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
    },
  };
}
