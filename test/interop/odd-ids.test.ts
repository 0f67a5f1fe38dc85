import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { runIdBytesMax, stepKeyBytesMax } from "../../src/limits.ts";
import { Bystander } from "./bystander.ts";
import { Conversation } from "./conversation.ts";
import { type Peer, peerKinds } from "./peers.ts";
import { json, useServer } from "./world.ts";

// Ids that other systems trip over are ids like others: each is carried through all calls as every kind of name.

const server = useServer();
const peers: Peer[] = [];
let bystander: Bystander;

beforeAll(() => {
  peers.push(...peerKinds.map((kind) => kind.open(server.url)));
  bystander = new Bystander(peers[1] as Peer, "bystander");
});
afterEach(() => bystander.completeAnother());
afterAll(async () => {
  await bystander?.stop();
  for (const peer of peers) peer.close();
});

const oddIds = [
  "__proto__",
  "constructor",
  "../x",
  "a/b?c=d&e%00#f",
  "🐢👩‍👩‍👧‍👦",
  "e\u0301 is not \u00e9",
  " ",
  "';--",
];

for (const [kindNo, kind] of peerKinds.entries()) {
  describe(kind.name, () => {
    for (const id of oddIds) {
      // The run ids are the same for all clients: the namespace keeps them apart.
      const namespace = kindNo === 0 ? id : `${id}${kindNo}`;
      test(JSON.stringify(id), async () => {
        await carryUnary(peers[kindNo] as Peer, namespace, id);
        if (kind.bidi) await carrySession(peers[kindNo] as Peer, namespace, `${id}2`);
      });
    }
  });
}

const start = (namespace: string, id: string) => ({
  namespace,
  runId: id,
  workflow: id,
  queue: id,
  runKey: id,
  requestId: id,
  input: json({ id }),
});

async function carryUnary({ runs, leases }: Peer, namespace: string, id: string): Promise<void> {
  const ref = { namespace, runId: id };
  const started = await runs.startRun(start(namespace, id));
  expect(started).toMatchObject({ alreadyStarted: false, run: { ...ref, workflow: id, queue: id, runKey: id } });
  expect(await runs.startRun(start(namespace, id))).toMatchObject({ alreadyStarted: true, run: ref });
  const filter = { namespace, workflow: id, queue: id, runKey: id };
  expect((await runs.listRuns({ filter })).runs.map(({ runId }) => runId)).toEqual([id]);
  expect((await runs.countRuns({ filter })).total).toBe(1n);

  const signal = { ...ref, name: id, payload: json({ id }), requestId: id };
  const { signalId } = await runs.signalRun(signal);
  expect(await runs.signalRun(signal)).toMatchObject({ signalId, alreadyReceived: true });
  expect((await runs.listSignals(ref)).signals).toMatchObject([{ signalId, name: id, payload: json({ id }) }]);

  const acquire = { namespace, queues: [id], workflows: [id], workerId: id, requestId: id };
  const { assignment } = await leases.acquireLease(acquire);
  expect(assignment).toMatchObject({ namespace, workflow: id, queue: id, runKey: id, lease: { runId: id } });
  const lease = assignment?.lease;
  const again = await leases.acquireLease(acquire);
  expect(again.assignment?.lease).toEqual(lease);
  expect((await runs.getRun(ref)).run).toMatchObject({ ...ref, workerId: id, status: RunStatus.RUNNING });

  const leased = { namespace, lease };
  await leases.startStep({ ...leased, stepKey: id });
  await leases.failStep({ ...leased, stepKey: id, failure: { type: id }, retryPolicy: { initialDelayMs: 1n } });
  await leases.completeStep({ ...leased, stepKey: id, output: json({ id }) });
  await leases.createTimer({ ...leased, stepKey: `${id}/timer`, delayMs: 1_000_000n });
  expect((await runs.listTimers(ref)).timers).toMatchObject([{ stepKey: `${id}/timer` }]);
  await leases.cancelTimer({ ...leased, stepKey: `${id}/timer` });
  const consumed = await leases.consumeSignal({ ...leased, stepKey: `${id}/signal`, name: id });
  expect(consumed).toMatchObject({ signalId, payload: json({ id }) });
  await leases.completeRun({ ...leased, output: json({ id }) });

  expect(await runs.waitRun(ref)).toMatchObject({
    timedOut: false,
    run: { ...ref, status: RunStatus.COMPLETED, output: json({ id }) },
  });
  const { steps } = await runs.listSteps(ref);
  expect(steps.map(({ stepKey }) => stepKey)).toEqual([id, `${id}/timer`, `${id}/signal`]);
  expect((await runs.getStepStats({ namespace, workflow: id })).stats).toMatchObject([{ stepKey: id, completed: 1n }]);
  const { events } = await runs.getRunHistory(ref);
  const attempts = events.filter(({ type }) => type === EventType.STEP_ATTEMPT_FAILED);
  expect(attempts).toMatchObject([{ stepKey: id, failure: { type: id } }]);
  const watched = [];
  for await (const message of runs.watchRun(ref)) watched.push(...message.events);
  expect(watched).toEqual(events);

  for (const end of ["cancelRun", "terminateRun"] as const) {
    const other = { namespace, runId: `${id}${end}` };
    await runs.startRun({ ...start(namespace, id), ...other, requestId: `${id}${end}` });
    const { run } = await runs[end]({ ...other, reason: id });
    expect(run).toMatchObject({ ...other, closedAtMs: expect.toSatisfy((value: bigint) => value > 0n) });
    const last = (await runs.getRunHistory(other)).events.at(-1);
    expect(last?.reason).toBe(id);
  }
}

async function carrySession(peer: Peer, namespace: string, id: string): Promise<void> {
  await peer.runs.startRun(start(namespace, id));
  const session = new Conversation(peer);
  const instance = { workerInstanceId: `${id} instance`, identity: id };
  session.send({
    case: "hello",
    value: { protocolVersion: 1, ...instance, namespace, queues: [id], workflows: [id] },
  });
  const { assignments } = await session.next("assign");
  expect(assignments).toMatchObject([{ namespace, workflow: id, lease: { runId: id } }]);
  const lease = assignments[0]?.lease;
  const changes = [
    { change: { case: "completeStep" as const, value: { stepKey: id, output: json({ id }) } } },
    { change: { case: "completeRun" as const, value: { output: json({ id }) } } },
  ];
  session.send({ case: "ops", value: { ops: [{ opId: 1n, lease: lease!, changes }] } });
  expect((await session.result(1n)).result.case).toBe("applied");
  session.send({ case: "goodbye", value: {} });
  session.closeSending();
  await session.end();
  expect(session.error).toBeUndefined();
  const { steps } = await peer.runs.listSteps({ namespace, runId: id });
  expect(steps).toMatchObject([{ stepKey: id, output: json({ id }) }]);
}

test("ids as long as they may be", async () => {
  const { runs, leases } = peers[0] as Peer;
  const runId = "🐢".repeat(runIdBytesMax / 4);
  await runs.startRun({ runId, workflow: "long", queue: "long" });
  expect((await runs.getRun({ runId })).run?.runId).toBe(runId);
  const { assignment } = await leases.acquireLease({ queues: ["long"], workerId: "w" });
  const stepKey = "🐢".repeat(stepKeyBytesMax / 4);
  await leases.completeStep({ lease: assignment!.lease!, stepKey, output: json(1) });
  expect((await runs.listSteps({ runId })).steps).toMatchObject([{ stepKey }]);
});
