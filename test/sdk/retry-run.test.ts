import { afterAll, beforeAll, expect, test } from "vitest";
import { workflow } from "../../clients/typescript/src/index.ts";
import { type Event, EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { Cluster } from "./cluster.ts";

// What a failed run had beside its failure is still there when it is opened again.

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
});
afterAll(() => cluster.stop());

test("a run that failed beside a sleep and an open signal is retried to its end, after another run held its key", async () => {
  const { client } = cluster;
  let broken = true;
  const order = workflow("order", async (ctx) => {
    const nap = ctx.sleep("nap", 1_500);
    await ctx.step(
      "charge",
      () => {
        if (broken) throw new TypeError("declined");
      },
      { retry: { maxAttempts: 1 } },
    );
    await nap;
    return ctx.signal<string>("approval", { timeoutMs: 60_000 });
  });
  // The failure ends the run while its sleep is pending and nobody has taken the signal.
  const run = await client.start(order, { runKey: "customer 7" });
  await client.signal(run.runId, "approval", "yes");
  const worker = cluster.worker({ workflows: [order] });
  await expect(run.result()).rejects.toMatchObject({ failure: { type: "StepFailed" } });
  await worker.drain();
  broken = false;

  const other = await client.start(order, { runKey: "customer 7" });
  await expect(client.retry(run.runId)).rejects.toMatchObject({ reason: "RUN_KEY_TAKEN" });
  await client.terminate(other.runId);
  await client.retry(run.runId);
  cluster.worker({ workflows: [order] });
  expect(await run.result()).toBe("yes");

  const events: Event[] = [];
  for await (const event of client.watch(run.runId)) events.push(event);
  const of = (type: EventType) => events.filter((event) => event.type === type);
  const [set] = of(EventType.TIMER_SET).filter(({ stepKey }) => stepKey === "nap");
  const [fired] = of(EventType.TIMER_FIRED);
  expect(of(EventType.TIMER_SET).filter(({ stepKey }) => stepKey === "nap")).toHaveLength(1);
  // At its original instant: the time that the run lay failed counts.
  expect(Number(fired!.atMs - set!.atMs)).toBeGreaterThanOrEqual(1_500);
  expect(of(EventType.RUN_REOPENED)).toHaveLength(1);
  expect(of(EventType.SIGNAL_CONSUMED)).toHaveLength(1);
});
