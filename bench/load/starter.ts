import { setTimeout as pause } from "node:timers/promises";
import { createRunsClient } from "./runs-client.ts";

const chunk = 256;
/** One call waits for its commit; alone it would set the pace of everything behind it. */
const callsAtOnce = 4;

/** Keeps some runs queued beyond those in flight, by StartRuns. `finished` says how many have ended. */
export function createStarter(url: string, options: { ahead: number; finished: () => number }) {
  const client = createRunsClient(url);
  const runs = Array.from({ length: chunk }, () => ({ workflow: "bench" }));
  let stopped = false;
  let started = 0;
  async function startWhatIsMissing(): Promise<void> {
    while (!stopped) {
      if (started - options.finished() > options.ahead) await pause(1);
      else {
        started += chunk;
        await client.startRuns({ runs });
      }
    }
  }
  const loops = Array.from({ length: callsAtOnce }, startWhatIsMissing);
  return {
    async stop() {
      stopped = true;
      await Promise.all(loops);
    },
  };
}
