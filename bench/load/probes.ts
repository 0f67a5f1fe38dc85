import { setTimeout as pause } from "node:timers/promises";
import { Client } from "../../clients/typescript/src/index.ts";
import { Histogram } from "../histogram.ts";
import { openStream } from "./stream.ts";

// Another worker's beats and another caller's reads beside a load, in a process of their own: what makes the load keeps
// its event loop busy, and that would be measured, too. "reset" forgets what was measured so far, "report" tells it.

export interface Probed {
  readonly beatP99Ms: number;
  readonly readP99Ms: number;
}

const everyMs = 20;
const [url = ""] = process.argv.slice(2);
const beats = new Histogram();
const reads = new Histogram();

async function beat(): Promise<never> {
  const sentAtMs = new Map<bigint, number>();
  const stream = openStream(url, {
    capacity: 1,
    workflow: "nothing",
    identity: "beats",
    onFrame(frame) {
      if (frame.case !== "beatAck") return;
      const { beatSeq } = frame.value;
      beats.record(performance.now() - (sentAtMs.get(beatSeq) ?? Number.NaN));
      sentAtMs.delete(beatSeq);
    },
  });
  for (let beatSeq = 1n; ; beatSeq++) {
    await pause(everyMs);
    sentAtMs.set(beatSeq, performance.now());
    stream.push({ case: "beat", value: { $typeName: "everstep.v1.Beat", beatSeq, held: [] } });
  }
}

async function read(): Promise<never> {
  const client = new Client({ address: url });
  const { runId } = await client.start("read");
  for (;;) {
    await pause(everyMs);
    const sentAtMs = performance.now();
    await client.get(runId);
    reads.record(performance.now() - sentAtMs);
  }
}

process.on("message", (message) => {
  if (message === "report") {
    const probed: Probed = { beatP99Ms: beats.quantileMs(0.99), readP99Ms: reads.quantileMs(0.99) };
    process.send?.(probed, () => process.exit(0));
  } else {
    beats.reset();
    reads.reset();
  }
});
await Promise.all([beat(), read()]);
