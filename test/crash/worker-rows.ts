import { type Event, EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { isStopped, type KillPoint, killPoints, type Sdk, sdks, until } from "./rig.ts";
import type { Row } from "./row.ts";
import { metricsOf } from "./server-facts.ts";
import {
  eventsOf,
  finishElsewhere,
  overLanes,
  resultMsMax,
  started,
  survivorName,
  Takeovers,
  takeoverMsMax,
} from "./worker-lanes.ts";

// R9, R10: a worker process of an SDK dies or sleeps in the middle of a run; another worker must finish the run, and what
// the first one does afterwards must change nothing.

/** The last step has begun: the results of those before it were acknowledged to the worker that was killed then. */
function lostReports(events: readonly Event[]): string[] {
  const taken = events.findIndex((event) => event.type === EventType.LEASE_GRANTED && event.workerId === survivorName);
  const kept = events.slice(0, taken).filter((event) => event.type === EventType.STEP_COMPLETED);
  const keys = kept.map((event) => event.stepKey).toSorted();
  return keys.join() === "a,b,c" ? [] : [`of the killed worker are the results of ${keys.join()}`];
}

const killedWorker: Row = {
  id: "R9",
  fault:
    "a worker process kills itself: before a step's body, after it, while it reports, when the last step begins; another one must be granted the run within TTL + 1 s",
  trials: killPoints.length * sdks.length * 50,
  async run(trials) {
    const takeovers = new Takeovers();
    const tally = await overLanes(trials, async (lane, number) => {
      const killPoint = killPoints[number % killPoints.length] as KillPoint;
      const sdk = sdks[Math.floor(number / killPoints.length) % sdks.length] as Sdk;
      await lane.tally.trial(`${sdk} ${killPoint}`, async () => {
        const run = await started(lane);
        const worker = lane.rig.sdkWorker(sdk, `${sdk}-${number}`, { killPoint, queue: lane.queue });
        await lane.rig.exited(worker);
        const killedAtMs = Date.now();
        const proof = worker.signalCode === "SIGKILL";
        const { events, violations } = await finishElsewhere(lane, run);
        if (killPoint === "acked") violations.push(...lostReports(events));
        if (proof) lane.tally.add(`${sdk} ${killPoint}`);
        return { proof, violations: [...violations, ...takeovers.add(events, killedAtMs, takeoverMsMax)] };
      });
    });
    takeovers.tell(tally);
    return tally;
  },
};

/** Runs one body after the other, in the order of the calls. */
function oneByOne(): <T>(body: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (body) => {
    const mine = last.then(body);
    last = mine.catch(() => {});
    return mine;
  };
}

/**
 * Whose step may report before its session looks at the clock again. The session of the Python SDK has a thread of its
 * own, whose overdue timer comes first: there every late report is dropped.
 */
const lateReporters: readonly Sdk[] = ["typescript", "go"];
/** So many trials of an SDK that none with a late report is no chance: a quarter of them have one. */
const enoughOfEach = 25;

const stoppedWorker: Row = {
  id: "R10",
  fault:
    "a worker is stopped between a step's body and its report, wakes when the run is finished elsewhere, and goes on",
  trials: sdks.length * 50,
  async run(trials) {
    const takeovers = new Takeovers();
    /** The server counts refusals of all workers together: they wake one by one, so that each is known by its own. */
    const alone = oneByOne();
    const refusedOf = new Map<Sdk, number>();
    const tally = await overLanes(trials, async (lane, number) => {
      const sdk = sdks[number % sdks.length] as Sdk;
      await lane.tally.trial(`${sdk} stopped`, async () => {
        const run = await started(lane);
        const identity = `${sdk}-${number}`;
        const worker = lane.rig.sdkWorker(sdk, identity, { killPoint: "stop", queue: lane.queue });
        await until(() => isStopped(worker), "the worker stops itself");
        const stoppedAtMs = Date.now();
        const { events, violations } = await finishElsewhere(lane, run);
        violations.push(...takeovers.add(events, stoppedAtMs, takeoverMsMax));
        const before = (await lane.client.get(run.runId)).lastSeq;
        const proof = isStopped(worker);
        await alone(async () => {
          const refusedBefore = (await metricsOf(lane.rig))("ops_refused_total");
          worker.kill("SIGCONT");
          // It lives: it carries the next run of its queue.
          const next = await started(lane);
          await next.result({ timeoutMs: resultMsMax });
          const carriers = (await eventsOf(lane.client, next.runId)).filter(
            (event) => event.type === EventType.LEASE_GRANTED && event.workerId === identity,
          );
          if (carriers.length === 0) violations.push("it does not carry the next run");
          await lane.rig.end(worker);
          const refused = (await metricsOf(lane.rig))("ops_refused_total") - refusedBefore;
          refusedOf.set(sdk, (refusedOf.get(sdk) ?? 0) + Math.min(1, refused));
          // Its report did not come into the history: it was refused, or never sent, because its loss was known first.
          lane.tally.add(`${sdk}: ${refused > 0 ? "report refused" : "told of the loss before it reported"}`);
        });
        const after = (await lane.client.get(run.runId)).lastSeq;
        if (after !== before) violations.push(`the late worker wrote events ${before} to ${after}`);
        return { proof, violations };
      });
    });
    takeovers.tell(tally);
    for (const sdk of lateReporters) {
      if (trials < enoughOfEach * sdks.length || !sdks.includes(sdk)) continue;
      if ((refusedOf.get(sdk) ?? 0) === 0) tally.violations.push(`no late report of ${sdk} was refused`);
    }
    return tally;
  },
};

export const workerRows: readonly Row[] = [killedWorker, stoppedWorker];
