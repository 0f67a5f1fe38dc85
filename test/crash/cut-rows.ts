import { FaultProxy, type Weather } from "../support/fault-proxy.ts";
import { type Rig, type Sdk, sdks, until } from "./rig.ts";
import type { Row, Tally } from "./row.ts";
import { type Held, heldBy } from "./server-facts.ts";
import { finishElsewhere, overLanes, started, Takeovers, takeoverMsMax, ttlMs, warmUp } from "./worker-lanes.ts";

// R12, R13: a worker is cut off in the middle of a run, in one direction or both, and nobody is told. Another worker must
// finish the run, and the server must find out by itself what it need not hold any more.

interface Cut {
  readonly toServer: Weather;
  readonly toWorker: Weather;
  readonly takeoverMsMax: number;
}

const lost = { lost: true };
/** A worker that hears nothing goes on renewing until it stops to trust its lease: five sixths of a TTL. */
const trustMs = (ttlMs * 5) / 6;
const deafMsMax = trustMs + takeoverMsMax;

/** The document's limit for noticing. */
const noticedMsMax = 20_000;

/** The network stays silent: what is back to what it was, the server has found out by itself. */
async function isFreed(rig: Rig, before: Held, tally: Tally): Promise<void> {
  const held = async () => {
    const { sessions, leases, streams } = await heldBy(rig);
    return sessions + leases + streams;
  };
  const beforehand = before.sessions + before.leases + before.streams;
  await until(async () => (await held()) <= beforehand, "sessions, leases and streams are freed", noticedMsMax).catch(
    async (error: Error) => tally.violations.push(`${error.message}: ${JSON.stringify(await heldBy(rig))}`),
  );
}

function cutOff(id: string, fault: string, cuts: readonly Cut[], trials: number): Row {
  return {
    id,
    fault: `${fault}; the server must free what it held of the worker while the network is still silent`,
    trials,
    async run(count) {
      const takeovers = new Takeovers();
      const silent: FaultProxy[] = [];
      let before: Held | undefined;
      const tally = await overLanes(
        count,
        async (lane, number) => {
          const sdk = sdks[number % sdks.length] as Sdk;
          const { takeoverMsMax: msMax, ...weather } = cuts[Math.floor(number / sdks.length) % cuts.length] as Cut;
          await lane.tally.trial(`${sdk} ${JSON.stringify(weather)}`, async () => {
            const proxy = await FaultProxy.start(lane.rig.url);
            silent.push(proxy);
            const options = { address: proxy.url, queue: lane.queue, killPoint: "hold" } as const;
            const worker = lane.rig.sdkWorker(sdk, `${sdk}-${number}`, options);
            try {
              const run = await started(lane);
              await until(() => lane.rig.calls(run.runId) >= 2, "the worker is in the middle of its second step");
              Object.assign(proxy, weather);
              const cutAtMs = Date.now();
              const { events, violations } = await finishElsewhere(lane, run);
              violations.push(...takeovers.add(events, cutAtMs, msMax));
              // A worker that was beating when it was cut off has had something swallowed by now.
              await until(() => proxy.swallowed > 0, "something was swallowed", 20_000).catch(() => {});
              return { proof: proxy.swallowed > 0, violations };
            } finally {
              // Nothing of its end comes to the server.
              proxy.toServer = proxy.toWorker = lost;
              await lane.rig.end(worker, "SIGKILL");
            }
          });
        },
        {
          async before(rig) {
            await warmUp(rig);
            before = await heldBy(rig);
          },
          async after(rig, tally) {
            const beforehand = before as Held;
            await isFreed(rig, beforehand, tally);
            const { rssMiB } = await heldBy(rig);
            tally.figures["RSS MiB before, after"] = `${beforehand.rssMiB}, ${rssMiB}`;
            // A connection without a call rests until its time is over (listener.test.ts); here the network ends it.
            for (const proxy of silent) proxy.close();
            const few = async () => (await heldBy(rig)).descriptors <= beforehand.descriptors;
            await until(few, "file descriptors are freed", noticedMsMax).catch((error: Error) =>
              tally.violations.push(error.message),
            );
            const { descriptors } = await heldBy(rig);
            tally.figures["file descriptors before, after"] = `${beforehand.descriptors}, ${descriptors}`;
          },
        },
      );
      takeovers.tell(tally);
      return tally;
    },
  };
}

export const cutRows: readonly Row[] = [
  cutOff(
    "R12",
    "half-open connection: nothing passes any more, nothing is closed; another worker must be granted the run within TTL + 1 s",
    [{ toServer: lost, toWorker: lost, takeoverMsMax }],
    100,
  ),
  cutOff(
    "R13",
    "one-way cut: nothing from the worker (another one must be granted the run within TTL + 1 s), or nothing to it, passes any more (5/6 TTL later: it renews until it trusts its lease no more)",
    [
      { toServer: lost, toWorker: {}, takeoverMsMax },
      { toServer: {}, toWorker: lost, takeoverMsMax: deafMsMax },
    ],
    100,
  ),
];
