import { setTimeout as pause } from "node:timers/promises";
import { createRunsClient } from "./runs-client.ts";

const chunk = 256;

/** Keeps some runs queued beyond those in flight, by StartRuns. `finished` says how many have ended. */
export function createStarter(url: string, options: { ahead: number; finished: () => number }) {
  const client = createRunsClient(url);
  const runs = Array.from({ length: chunk }, () => ({ workflow: "bench" }));
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
