import { Client } from "../../clients/typescript/src/index.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { type Rig, until } from "./rig.ts";
import type { Tally } from "./row.ts";
import { heldBy, metricsOf } from "./server-facts.ts";

// A worker whose line takes 8 KiB a second is given twenty runs with two MiB of input each. What the server keeps for it
// must stay small, and its stream must be cut.

const runs = 20;
const inputBytes = 2 * 1024 * 1024;
const bytesPerSecond = 8_192;
/**
 * What waits for it in the outbox is a MiB and one assignment (outboxFeedBytes; test/engine/bounds.test.ts counts it). A
 * process shows more: the window of HTTP/2, each of them as text and as bytes, and what the collector has not taken yet;
 * 45 to 86 MiB were seen, and 223 with an outbox without that bound.
 */
const grownMiBMax = 128;

export async function slowReader(rig: Rig, tally: Tally): Promise<void> {
  const client = new Client({ address: rig.url });
  const proxy = await FaultProxy.start(rig.url);
  try {
    const input = { signal: false, ballast: "x".repeat(inputBytes) };
    const started = [];
    for (let run = 0; run < runs; run++) started.push(await client.start("torture", { queue: "slow", input }));
    // A server that has written none of it: what it grows by now is for who reads.
    await rig.server.signal("SIGTERM");
    await rig.serve();
    const before = await heldBy(rig);
    let mostMiB = before.rssMiB;
    proxy.toWorker = { rate: bytesPerSecond, chunk: bytesPerSecond / 8 };
    const worker = rig.sdkWorker("typescript", "slow reader", { address: proxy.url, queue: "slow" });
    await until(async () => {
      mostMiB = Math.max(mostMiB, (await heldBy(rig)).rssMiB);
      return (await metricsOf(rig))("slow_consumers_total") > 0;
    }, "the stream of the slow reader is cut");
    proxy.clear();
    proxy.reset();
    await Promise.all(started.map((run) => run.result({ timeoutMs: 60_000 })));
    await rig.end(worker, "SIGKILL");
    tally.figures["RSS MiB before a slow reader of 40 MiB, most"] = `${before.rssMiB}, ${mostMiB}`;
    if (mostMiB > before.rssMiB + grownMiBMax) {
      tally.violations.push(`for a slow reader the server grew from ${before.rssMiB} to ${mostMiB} MiB`);
    }
  } finally {
    client.close();
    proxy.close();
  }
}
