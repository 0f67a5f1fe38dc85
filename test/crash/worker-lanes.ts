import { Client, type RunHandle } from "../../clients/typescript/src/index.ts";
import { type Event, EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { type Rig, until, withSdks } from "./rig.ts";
import { quantile, Tally } from "./row.ts";
import { heldBy } from "./server-facts.ts";
import { ask } from "./served-truth.ts";
import { tortureWorker } from "./torture-workflow.ts";

// What the rows of dying, sleeping and cut off workers share: lanes that run abreast, each with its own queue, and
// another worker that finishes the run.

const lanes = 4;
export const ttlMs = 1_000;
/** The document's second, for whoever has to notice, decide and commit. */
const slackMs = 1_000;
/**
 * Behind the fault another worker holds the run within this time. No grace comes into it: that one is for leases whose
 * server has gone. A lease lives for one TTL from its last renewal, and the fault lets none through.
 */
export const takeoverMsMax = ttlMs + slackMs;
/** Not a rule: by now the run has ended, or the trial has failed. */
export const resultMsMax = 20_000;

export interface Lane {
  readonly rig: Rig;
  readonly client: Client;
  readonly queue: string;
  readonly tally: Tally;
}

/** Runs `trials` of `body` over the lanes, then `after`, then reads the file. */
export async function overLanes(
  trials: number,
  body: (lane: Lane, number: number) => Promise<void>,
  options: { before?: (rig: Rig) => Promise<void>; after?: (rig: Rig, tally: Tally) => Promise<void> } = {},
): Promise<Tally> {
  return withSdks(
    async (rig, tally) => {
      await options.before?.(rig);
      const client = new Client({ address: rig.url });
      let next = 0;
      await Promise.all(
        Array.from({ length: lanes }, async (_, lane) => {
          while (next < trials) await body({ rig, client, queue: `lane-${lane}`, tally }, next++);
        }),
      );
      client.close();
      await options.after?.(rig, tally);
      await rig.server.signal("SIGTERM");
      const { checked, problems } = await rig.checkBoth({ finished: true });
      tally.violations.push(...problems);
      tally.figures["step bodies run"] = checked.sink?.calls ?? 0;
      tally.figures["step results"] = checked.sink?.results ?? 0;
    },
    ["--lease-ttl", `${ttlMs}ms`],
  );
}

export function started({ client, queue }: Lane): Promise<RunHandle> {
  return client.start("torture", { queue, input: { signal: false } });
}

export async function eventsOf(client: Client, runId: string): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of client.watch(runId)) events.push(event);
  return events;
}

/** Where a run stands that should have ended, and how it came there. */
async function stateOf({ rig }: Lane, runId: string): Promise<string> {
  const tell = async (method: string) => JSON.stringify((await ask(rig.url, method, { runId })).answer);
  return `${await tell("ExplainRun")} ${await tell("GetRunHistory")}`;
}

/** Times from a fault to the grant of the run to another worker, as the history has it. */
export class Takeovers {
  readonly #ms: number[] = [];
  /** What is wrong with this one. Server time is the wall clock of this machine. */
  add(events: readonly Event[], faultAtMs: number, msMax: number): string[] {
    const grants = events.filter((event) => event.type === EventType.LEASE_GRANTED && event.workerId === survivorName);
    const [first] = grants;
    if (first === undefined) return ["no other worker was granted the run"];
    const ms = Number(first.atMs) - faultAtMs;
    this.#ms.push(ms);
    return ms > msMax ? [`another worker was granted the run after ${ms} ms, ${msMax} is the limit`] : [];
  }
  tell(tally: Tally): void {
    tally.figures["takeover p50 ms"] = quantile(this.#ms, 0.5);
    tally.figures["takeover max ms"] = quantile(this.#ms, 1);
  }
}

export const survivorName = "survivor";

/** Another worker finishes the run; its events, and what is wrong with them. */
export async function finishElsewhere(lane: Lane, run: RunHandle): Promise<{ events: Event[]; violations: string[] }> {
  const { rig, queue } = lane;
  const survivor = tortureWorker({ address: rig.url, queue, sink: rig.sink, identity: survivorName });
  try {
    await run.result({ timeoutMs: resultMsMax }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}; ${await stateOf(lane, run.runId)}`);
    });
    const events = await eventsOf(lane.client, run.runId);
    const completed = events.filter((event) => event.type === EventType.STEP_COMPLETED).map((event) => event.stepKey);
    const violations = completed.toSorted().join() === "a,b,c,d" ? [] : [`the step results are ${completed.join()}`];
    return { events, violations };
  } finally {
    await survivor.close();
  }
}

/** One run from start to end, so that the server has opened all that it opens once. */
export async function warmUp(rig: Rig): Promise<void> {
  const client = new Client({ address: rig.url });
  const lane: Lane = { rig, client, queue: "warm-up", tally: new Tally() };
  await finishElsewhere(lane, await started(lane));
  client.close();
  await until(async () => (await heldBy(rig)).sessions === 0, "the worker of the warm-up has gone");
}
