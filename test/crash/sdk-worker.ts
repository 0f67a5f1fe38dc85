import { setTimeout as pause } from "node:timers/promises";
import { tortureWorker } from "./torture-workflow.ts";

// A worker process of the TypeScript SDK. Arguments: address, queue, sink, identity, kill point.
//
// A kill point lets the process kill itself once, at: before (the body of the second call, of step b or c), after (it,
// before its result is reported), during (a moment after it was handed over), acked (before the body of the fourth call,
// of step d: b and c run abreast, and d begins when both results were acknowledged). `stop` stops it where `after` kills
// it; `hold` stays there; `slow` makes every body last half a second, `patient` five seconds.
const [address = "", queue = "", sink = "", identity = "", killPoint = ""] = process.argv.slice(2);

function die(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
}

const worker = tortureWorker({
  address,
  queue,
  sink,
  identity,
  around: {
    before(call) {
      if ((killPoint === "before" && call === 2) || (killPoint === "acked" && call === 4)) die();
    },
    after(call) {
      if (killPoint === "slow") return pause(500);
      if (killPoint === "patient") return pause(5_000);
      if (call !== 2) return undefined;
      if (killPoint === "after") die();
      if (killPoint === "during") setImmediate(() => setImmediate(die));
      if (killPoint === "hold") return pause(600_000);
      if (killPoint === "stop") process.kill(process.pid, "SIGSTOP");
      return undefined;
    },
  },
});
process.once("SIGTERM", () => void worker.drain().then(() => process.exit(0)));
