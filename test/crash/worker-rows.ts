import { existsSync, readFileSync } from "node:fs";
import { Client, type RunHandle } from "../../clients/typescript/src/index.ts";
import { FaultProxy, type Weather } from "../support/fault-proxy.ts";
import { EventType, type Event } from "../../gen/ts/everstep/v1/event_pb.ts";
import { isStopped, type KillPoint, killPoints, prepareSdks, type Rig, type Sdk, sdks, until, withRig } from "./rig.ts";
import { quantile, type Row, Tally } from "./row.ts";
import { tortureWorker } from "./torture-workflow.ts";

// R9, R10, R12 to R14: a worker process of an SDK dies, sleeps or is cut off in the middle of a run; another worker must
// finish the run, and what the first one does afterwards must change nothing. Lanes run abreast, each with its own queue.

const lanes = 4;
/** TTL, the grace of an orphaned lease, and time for a busy machine. */
const takeoverMsMax = 20_000;

interface Lane {
  readonly rig: Rig;
  readonly client: Client;
  readonly queue: string;
  readonly tally: Tally;
}

/** Runs `trials` of `body` over the lanes, then reads the file. */
async function overLanes(
  trials: number,
  body: (lane: Lane, number: number) => Promise<void>,
  leaseTtl = "1s",
): Promise<Tally> {
  return withRig(
    async (rig) => {
      const tally = new Tally();
      prepareSdks();
      await rig.serve();
      const client = new Client({ address: rig.url });
      let next = 0;
      await Promise.all(
        Array.from({ length: lanes }, async (_, lane) => {
          while (next < trials) await body({ rig, client, queue: `lane-${lane}`, tally }, next++);
        }),
      );
      client.close();
      await rig.server.signal("SIGTERM");
      const { checked, problems } = await rig.checkBoth({ finished: true });
      tally.violations.push(...problems);
      tally.figures["step bodies run"] = checked.sink?.calls ?? 0;
      tally.figures["step results"] = checked.sink?.results ?? 0;
      return tally;
    },
    ["--lease-ttl", leaseTtl],
  );
}

async function started({ client, queue }: Lane): Promise<RunHandle> {
  return client.start("torture", { queue, input: { signal: false } });
}
/** Whether step bodies of this run have been called so often. */
function hasCalled({ sink }: Rig, runId: string, times: number): boolean {
  const lines = existsSync(sink) ? readFileSync(sink, "utf8").split("\n") : [];
  return lines.filter((line) => line.includes(runId)).length >= times;
}
async function eventsOf(client: Client, runId: string): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of client.watch(runId)) events.push(event);
  return events;
}
/** Where a run stands that should have ended, and how it came there. */
async function stateOf({ rig }: Lane, runId: string): Promise<string> {
  const body = JSON.stringify({ runId });
  const headers = { "content-type": "application/json" };
  const tell = (method: string) =>
    fetch(`${rig.url}/everstep.v1.RunService/${method}`, { method: "POST", headers, body }).then((said) => said.text());
  return `${await tell("ExplainRun")} ${await tell("GetRunHistory")}`;
}
/** How many ops the server has refused so far, as it tells itself. */
async function refusedOps({ url }: Rig): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^everstep_ops_refused_total (\d+)$/m.exec(metrics)?.[1]);
}
/** Another worker finishes the run; the time that it took, and what is wrong with the history. */
async function finishElsewhere(lane: Lane, run: RunHandle): Promise<{ ms: number; violations: string[] }> {
  const startedAtMs = performance.now();
  const survivor = tortureWorker({
    address: lane.rig.url,
    queue: lane.queue,
    sink: lane.rig.sink,
    identity: "survivor",
  });
  try {
    await run.result({ timeoutMs: takeoverMsMax }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}; ${await stateOf(lane, run.runId)}`);
    });
    const events = await eventsOf(lane.client, run.runId);
    const completed = events.filter((event) => event.type === EventType.STEP_COMPLETED).map((event) => event.stepKey);
    const violations = completed.toSorted().join() === "a,b,c,d" ? [] : [`the step results are ${completed.join()}`];
    return { ms: performance.now() - startedAtMs, violations };
  } finally {
    await survivor.close();
  }
}

const killedWorker: Row = {
  id: "R9",
  fault: "a worker process kills itself: before a step's body, after it, while it reports, when the next step begins",
  trials: killPoints.length * sdks.length * 50,
  async run(trials) {
    const takeoversMs: number[] = [];
    const tally = await overLanes(trials, async (lane, number) => {
      const killPoint = killPoints[number % killPoints.length] as KillPoint;
      const sdk = sdks[Math.floor(number / killPoints.length) % sdks.length] as Sdk;
      await lane.tally.trial(`${sdk} ${killPoint}`, async () => {
        const run = await started(lane);
        const worker = lane.rig.sdkWorker(sdk, `${sdk}-${number}`, { killPoint, queue: lane.queue });
        await lane.rig.exited(worker);
        const proof = worker.signalCode === "SIGKILL";
        const { ms, violations } = await finishElsewhere(lane, run);
        takeoversMs.push(ms);
        if (proof) lane.tally.add(`${sdk} ${killPoint}`);
        return { proof, violations };
      });
    });
    tally.figures["takeover p50 ms"] = quantile(takeoversMs, 0.5);
    tally.figures["takeover max ms"] = quantile(takeoversMs, 1);
    return tally;
  },
};

const stoppedWorker: Row = {
  id: "R10",
  fault:
    "a worker is stopped between a step's body and its report, wakes when the run is finished elsewhere, and goes on",
  trials: sdks.length * 50,
  async run(trials) {
    let refused = 0;
    return overLanes(trials, async (lane, number) => {
      const sdk = sdks[number % sdks.length] as Sdk;
      await lane.tally.trial(`${sdk} stopped`, async () => {
        const run = await started(lane);
        const worker = lane.rig.sdkWorker(sdk, `${sdk}-${number}`, { killPoint: "stop", queue: lane.queue });
        await until(() => isStopped(worker), "the worker stops itself");
        const { violations } = await finishElsewhere(lane, run);
        const before = (await lane.client.get(run.runId)).lastSeq;
        const proof = isStopped(worker);
        worker.kill("SIGCONT");
        // It lives: it carries the next run of its queue.
        const next = await started(lane);
        await next.result({ timeoutMs: takeoverMsMax });
        const after = (await lane.client.get(run.runId)).lastSeq;
        await lane.rig.end(worker);
        if (proof) lane.tally.add(sdk);
        const late = after === before ? [] : [`the late worker wrote events ${before} to ${after}`];
        return { proof, violations: [...violations, ...late] };
      });
      refused = await refusedOps(lane.rig);
    }).then((tally) => {
      // A worker that looks at its own clock first reports nothing any more; what others report has to be refused.
      tally.figures["ops refused by the server"] = refused;
      if (!(refused > 0)) tally.violations.push("the server has refused nothing");
      return tally;
    });
  },
};

function cutOff(id: string, fault: string, weathers: { toServer: Weather; toWorker: Weather }[], trials: number): Row {
  return {
    id,
    fault,
    trials,
    async run(count) {
      const takeoversMs: number[] = [];
      const tally = await overLanes(count, async (lane, number) => {
        const sdk = sdks[number % sdks.length] as Sdk;
        const weather = weathers[Math.floor(number / sdks.length) % weathers.length] as (typeof weathers)[number];
        await lane.tally.trial(`${sdk} ${JSON.stringify(weather)}`, async () => {
          const proxy = await FaultProxy.start(lane.rig.url);
          const worker = lane.rig.sdkWorker(sdk, `${sdk}-${number}`, {
            address: proxy.url,
            queue: lane.queue,
            killPoint: "hold",
          });
          try {
            const run = await started(lane);
            await until(() => hasCalled(lane.rig, run.runId, 2), "the worker is in the middle of its second step");
            Object.assign(proxy, weather);
            const { ms, violations } = await finishElsewhere(lane, run);
            takeoversMs.push(ms);
            // A worker that was beating when it was cut off has had something swallowed by now.
            await until(() => proxy.swallowed > 0, "something was swallowed", 20_000).catch(() => {});
            return { proof: proxy.swallowed > 0, violations };
          } finally {
            await lane.rig.end(worker, "SIGKILL");
            proxy.close();
          }
        });
      });
      tally.figures["takeover p50 ms"] = quantile(takeoversMs, 0.5);
      tally.figures["takeover max ms"] = quantile(takeoversMs, 1);
      return tally;
    },
  };
}

interface KnownWeather {
  readonly name: string;
  readonly weather: Weather;
  /** What it has done by now, in these units, and how much of that proves it. */
  done(proxy: FaultProxy): number;
  readonly units: string;
  readonly enough: number;
}

const resets = 3;
const weathers: readonly KnownWeather[] = [
  {
    name: "late by 200 to 400 ms",
    weather: { delayMs: 200, jitterMs: 200 },
    done: (proxy) => proxy.delayed,
    units: "chunks",
    enough: 1,
  },
  { name: "8 KiB a second", weather: { rate: 8_192 }, done: (proxy) => proxy.throttled, units: "bytes", enough: 1 },
  { name: "byte by byte", weather: { chunk: 1 }, done: (proxy) => proxy.split, units: "chunks", enough: 1 },
  { name: "reset every 300 ms", weather: {}, done: (proxy) => proxy.wasReset, units: "connections", enough: resets },
];

const badWeather: Row = {
  id: "R14",
  fault: `bad network between worker and server: ${weathers.map(({ name }) => name).join("; ")}`,
  trials: weathers.length * sdks.length * 20,
  async run(trials) {
    return overLanes(
      trials,
      async (lane, number) => {
        const sdk = sdks[number % sdks.length] as Sdk;
        const known = weathers[Math.floor(number / sdks.length) % weathers.length] as KnownWeather;
        const { name, weather, units, enough } = known;
        await lane.tally.trial(`${sdk} ${name}`, async () => {
          const proxy = await FaultProxy.start(lane.rig.url);
          proxy.toServer = proxy.toWorker = weather;
          const worker = lane.rig.sdkWorker(sdk, `${sdk}-${number}`, { address: proxy.url, queue: lane.queue });
          const resetting = name.startsWith("reset")
            ? setInterval(() => proxy.reset(), 300 + Math.random() * 200)
            : undefined;
          try {
            const run = await started(lane);
            if (resetting !== undefined) {
              await until(() => known.done(proxy) >= enough, "the connection was reset three times");
              clearInterval(resetting);
            }
            await run.result({ timeoutMs: 60_000 });
            lane.tally.add(`${name}: ${units}`, known.done(proxy));
            return { proof: known.done(proxy) >= enough, violations: [] };
          } finally {
            clearInterval(resetting);
            await lane.rig.end(worker, "SIGKILL");
            proxy.close();
          }
        });
      },
      "10s",
    );
  },
};

const lost = { lost: true };
export const workerRows: readonly Row[] = [
  killedWorker,
  stoppedWorker,
  cutOff(
    "R12",
    "half-open connection: nothing passes any more, nothing is closed",
    [{ toServer: lost, toWorker: lost }],
    100,
  ),
  cutOff(
    "R13",
    "one-way cut: nothing from the worker, or nothing to it, passes any more",
    [
      { toServer: lost, toWorker: {} },
      { toServer: {}, toWorker: lost },
    ],
    100,
  ),
  badWeather,
];
