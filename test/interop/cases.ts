import { expect } from "vitest";
import { type Event, EventType } from "../../gen/ts/everstep/v1/event_pb.ts";
import { LeaseEndReason } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import { Conversation } from "./conversation.ts";
import type { Peer } from "./peers.ts";
import { refusalOf } from "./refusal.ts";
import { acquire, historyOf, json } from "./world.ts";

// What every client must be able to do, and what it must be told when it may not. Each case is given a name that
// nobody else uses: it is the run id, the queue and the workflow.

export interface Case {
  readonly name: string;
  /** Needs a stream in both directions. */
  readonly bidi?: true;
  run(peer: Peer, id: string): Promise<void>;
}

const start = (id: string) => ({ workflow: id, queue: id, runId: id, requestId: `${id}/1`, input: json({ id }) });
const domain = "everstep.v1";

export const cases: readonly Case[] = [
  {
    name: "StartRun: new, repeated, and taken by another",
    async run({ runs }, id) {
      const first = await runs.startRun(start(id));
      expect(first).toMatchObject({ alreadyStarted: false, run: { runId: id, status: RunStatus.QUEUED, lastSeq: 1n } });
      const again = await runs.startRun(start(id));
      expect(again).toMatchObject({ alreadyStarted: true, run: { runId: id, lastSeq: 1n } });
      expect(again.run?.createdAtMs).toBe(first.run?.createdAtMs);
      const taken = await refusalOf(runs.startRun({ ...start(id), requestId: `${id}/2` }));
      expect(taken).toMatchObject({ code: "AlreadyExists", reason: "RUN_EXISTS", domain });
      expect(taken.message).toContain(id);
    },
  },
  {
    name: "GetRun: all of a run",
    async run({ runs }, id) {
      await runs.startRun({ ...start(id), runKey: "key", priority: 2, input: json("żółw 🐢") });
      const { run } = await runs.getRun({ runId: id });
      expect(run).toMatchObject({
        namespace: "default",
        runId: id,
        workflow: id,
        queue: id,
        runKey: "key",
        status: RunStatus.QUEUED,
        input: { data: { case: "json", value: '"żółw 🐢"' } },
        priority: 2,
        lastSeq: 1n,
        epoch: 0n,
      });
      expect(typeof run?.createdAtMs).toBe("bigint");
    },
  },
  {
    name: "ListRuns: pages, newest first, without payloads",
    async run({ runs }, id) {
      const ids = [1, 2, 3].map((number) => `${id}-${number}`);
      for (const runId of ids) await runs.startRun({ ...start(id), runId, requestId: runId });
      const filter = { queue: id, statuses: [RunStatus.QUEUED] };
      const first = await runs.listRuns({ filter, pageSize: 2 });
      const second = await runs.listRuns({ filter, pageSize: 2, pageToken: first.nextPageToken });
      const listed = [...first.runs, ...second.runs];
      expect(listed.map(({ runId }) => runId)).toEqual(ids.toReversed());
      expect(listed.map(({ input }) => input)).toEqual([undefined, undefined, undefined]);
      expect(second.nextPageToken).toBe("");
      const none = await runs.listRuns({ filter: { ...filter, statuses: [RunStatus.COMPLETED] } });
      expect(none.runs).toEqual([]);
    },
  },
  {
    name: "AcquireLease, StartStep, CompleteStep, CompleteRun, GetRunHistory",
    async run(peer, id) {
      const { runs, leases } = peer;
      await runs.startRun(start(id));
      const { assignment } = await leases.acquireLease({ queues: [id], workerId: "interop", leaseTtlMs: 60_000n });
      expect(assignment).toMatchObject({ workflow: id, queue: id, leaseTtlMs: 60_000n, deliveries: 1, journal: [] });
      expect(assignment?.input?.data).toEqual(json({ id }).data);
      const lease = assignment?.lease;
      expect(lease).toMatchObject({ runId: id, epoch: 1n });
      expect(lease?.leaseId).toHaveLength(16);
      // Bytes of every value come back as they went, also those that are no text.
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const completion = { lease, stepKey: "charge", output: { data: { case: "bytes" as const, value: bytes } } };
      expect(await leases.startStep({ lease, stepKey: "charge" })).toMatchObject({ alreadyApplied: false });
      expect(await leases.completeStep(completion)).toMatchObject({ alreadyApplied: false, notices: [] });
      const repeated = await leases.completeStep(completion);
      expect(repeated.alreadyApplied).toBe(true);
      expect(Uint8Array.from(repeated.storedOutput!.data.value as Uint8Array)).toEqual(bytes);
      const other = await refusalOf(leases.completeStep({ ...completion, output: json("other") }));
      expect(other).toMatchObject({ code: "AlreadyExists", reason: "STEP_COMPLETED" });
      expect(await leases.completeRun({ lease, output: json("done") })).toMatchObject({ alreadyApplied: false });
      const { run } = await runs.getRun({ runId: id });
      expect(run).toMatchObject({ status: RunStatus.COMPLETED, stepsCompleted: 1n, output: json("done") });
      const events = await historyOf(peer, id);
      expectSeqs(events);
      expect(typesOf(events)).toEqual([
        EventType.RUN_CREATED,
        EventType.LEASE_GRANTED,
        EventType.STEP_STARTED,
        EventType.STEP_COMPLETED,
        EventType.LEASE_ENDED,
        EventType.RUN_COMPLETED,
      ]);
      const page = await runs.getRunHistory({ runId: id, afterSeq: 1n, pageSize: 2 });
      expect(page.events).toEqual(events.slice(1, 3));
      expect(page.nextPageToken).not.toBe("");
    },
  },
  {
    name: "FailStep: a retry is planned, then the attempts are used up",
    async run(peer, id) {
      const { runs, leases } = peer;
      await runs.startRun(start(id));
      const lease = await acquire(peer, id);
      const failure = { type: "CardDeclined", message: "no", details: json([1]), cause: { type: "Bank" } };
      const retryPolicy = { maxAttempts: 2, initialDelayMs: 1n };
      const first = await leases.failStep({ lease, stepKey: "charge", attempt: 1, failure, retryPolicy });
      expect(first.retry?.nextAttempt).toBe(2);
      const second = await leases.failStep({ lease, stepKey: "charge", attempt: 2, failure, retryPolicy });
      expect(second.retry).toBeUndefined();
      const late = await refusalOf(leases.completeStep({ lease, stepKey: "charge", output: json(1) }));
      expect(late).toMatchObject({ code: "FailedPrecondition", reason: "STEP_FAILED", domain });
      const { steps } = await runs.listSteps({ runId: id });
      expect(steps).toMatchObject([{ stepKey: "charge", attempt: 2, failure }]);
    },
  },
  {
    name: "SignalRun: recorded once, consumed by a step",
    async run(peer, id) {
      const { runs, leases } = peer;
      await runs.startRun(start(id));
      const signal = { runId: id, name: "approval", payload: json({ by: "Ada" }), requestId: "s1" };
      expect(await runs.signalRun(signal)).toMatchObject({ signalId: 2n, alreadyReceived: false });
      expect(await runs.signalRun(signal)).toMatchObject({ signalId: 2n, alreadyReceived: true });
      const lease = await acquire(peer, id);
      const consumed = await leases.consumeSignal({ lease, stepKey: "wait", name: "approval" });
      expect(consumed).toMatchObject({ signalId: 2n, payload: signal.payload });
      const none = await refusalOf(leases.consumeSignal({ lease, stepKey: "wait again", name: "approval" }));
      expect(none).toMatchObject({ code: "FailedPrecondition", reason: "NO_SIGNAL" });
    },
  },
  {
    name: "CancelRun: at once without a worker, told to the one that has it",
    async run(peer, id) {
      const { runs, leases } = peer;
      await runs.startRun({ ...start(id), runId: `${id}-idle` });
      const idle = await runs.cancelRun({ runId: `${id}-idle`, reason: "changed my mind" });
      expect(idle.run?.status).toBe(RunStatus.CANCELLED);
      await runs.startRun({ ...start(id), requestId: "held" });
      const lease = await acquire(peer, id);
      const held = await runs.cancelRun({ runId: id, reason: "stop", graceMs: 60_000n });
      expect(held.run).toMatchObject({ status: RunStatus.RUNNING, cancelRequested: true });
      const { notices } = await leases.renewLease({ lease });
      expect(notices.map(({ what }) => what)).toMatchObject([{ case: "cancel", value: { reason: "stop" } }]);
    },
  },
  {
    name: "TerminateRun: ends the run and fences its worker",
    async run(peer, id) {
      const { runs, leases } = peer;
      await runs.startRun(start(id));
      const lease = await acquire(peer, id);
      const { run } = await runs.terminateRun({ runId: id, reason: "enough" });
      expect(run?.status).toBe(RunStatus.TERMINATED);
      const late = await refusalOf(leases.completeStep({ lease, stepKey: "late", output: json(1) }));
      expect(late).toMatchObject({ code: "FailedPrecondition", reason: "LEASE_LOST" });
      const closed = await refusalOf(runs.signalRun({ runId: id, name: "hello" }));
      expect(closed).toMatchObject({ code: "FailedPrecondition", reason: "RUN_CLOSED" });
    },
  },
  {
    name: "WaitRun: answers when time is up, and when the run ends",
    async run(peer, id) {
      const { runs, leases } = peer;
      await runs.startRun(start(id));
      expect(await runs.waitRun({ runId: id, timeoutMs: 1n })).toMatchObject({ timedOut: true });
      const lease = await acquire(peer, id);
      const ended = runs.waitRun({ runId: id, timeoutMs: 20_000n });
      await leases.completeRun({ lease, output: json("late") });
      expect(await ended).toMatchObject({
        timedOut: false,
        run: { status: RunStatus.COMPLETED, output: json("late") },
      });
    },
  },
  {
    name: "WatchRun: each event as it happens, then the end",
    async run(peer, id) {
      const { runs, leases } = peer;
      await runs.startRun(start(id));
      const seen: Event[] = [];
      for await (const { events } of runs.watchRun({ runId: id })) {
        seen.push(...events);
        // The next events are caused only when the earlier ones have come: the stream is live.
        if (seen.length === 1) await leases.completeRun({ lease: await acquire(peer, id) });
      }
      expectSeqs(seen);
      expect(seen).toEqual(await historyOf(peer, id));
      const tail: Event[] = [];
      for await (const { events } of runs.watchRun({ runId: id, afterSeq: 2n })) tail.push(...events);
      expect(tail).toEqual(seen.slice(2));
    },
  },
  {
    name: "WatchRuns: each change of the runs that a filter lets pass, and behind a cursor what was missed",
    async run(peer, id) {
      const { runs, leases } = peer;
      const filter = { workflow: id };
      const told: unknown[] = [];
      let cursor = "";
      for await (const message of runs.watchRuns({ filter })) {
        told.push(...message.runs.map(({ runId, status }) => ({ runId, status })));
        // The first message has no runs: the place from which on nothing is missed.
        if (cursor === "") await runs.startRun({ ...start(id), workflow: id });
        else break;
        cursor = message.cursor;
      }
      expect(told).toEqual([{ runId: id, status: RunStatus.QUEUED }]);
      await leases.completeRun({ lease: await acquire(peer, id) });
      for await (const message of runs.watchRuns({ filter, cursor })) {
        if (message.runs.length === 0) continue;
        expect(message.runs).toMatchObject([{ runId: id, status: RunStatus.COMPLETED }]);
        break;
      }
    },
  },
  {
    name: "errors: code, reason, domain and field",
    async run({ runs, leases }, id) {
      const unknown = { code: "NotFound", reason: "RUN_NOT_FOUND", domain };
      const runId = `${id}-none`;
      expect(await refusalOf(runs.getRun({ runId }))).toMatchObject(unknown);
      expect(await refusalOf(runs.getRunHistory({ runId }))).toMatchObject(unknown);
      expect(await refusalOf(runs.waitRun({ runId }))).toMatchObject(unknown);
      expect(await refusalOf(readAll(runs.watchRun({ runId })))).toMatchObject(unknown);
      const invalid = { code: "InvalidArgument", reason: "INVALID", domain };
      const namesField = async (field: string, call: Promise<unknown>) =>
        expect(await refusalOf(call)).toMatchObject({ ...invalid, field, message: expect.stringContaining(field) });
      await namesField("workflow", runs.startRun({}));
      await namesField("run_id", runs.getRun({}));
      await namesField("priority", runs.startRun({ workflow: "w", priority: 10 }));
      await namesField("wait_ms", leases.acquireLease({ workerId: "w", waitMs: 60_001n }));
      await namesField("lease", leases.completeRun({}));
      const token = await refusalOf(runs.listRuns({ pageToken: "not one of ours" }));
      expect(token).toMatchObject({ code: "InvalidArgument", reason: "BAD_PAGE_TOKEN" });
    },
  },
  { name: "Session: from Hello to the end", bidi: true, run: holdSession },
];

/** A worker's whole life on one stream, frame by frame. */
async function holdSession(peer: Peer, id: string): Promise<void> {
  const session = new Conversation(peer);
  session.send({
    case: "hello",
    value: { protocolVersion: 1, workerInstanceId: `instance-${id}`, queues: [id], workflows: [id], capacity: 2 },
  });
  const welcome = await session.next("welcome");
  expect(welcome).toMatchObject({ protocolVersion: 1, resumed: false, verdicts: [] });
  expect(welcome.settings?.leaseTtlMs).toBeGreaterThan(0n);

  await peer.runs.startRun(start(id));
  const { assignments } = await session.next("assign");
  expect(assignments).toMatchObject([{ workflow: id, lease: { runId: id, epoch: 1n }, input: json({ id }) }]);
  const lease = assignments[0]!.lease!;
  session.send({ case: "accept", value: { leases: [lease] } });
  const complete = (stepKey: string) =>
    ({ change: { case: "completeStep" as const, value: { stepKey, output: json(stepKey) } } }) as const;
  session.send({
    case: "ops",
    value: {
      ops: [
        { opId: 1n, lease, changes: [complete("one"), complete("two")] },
        { opId: 2n, lease, changes: [complete("")] },
        { opId: 3n, lease, changes: [complete("three")], afterRefused: 2n },
      ],
    },
  });
  expect((await session.result(1n)).result).toMatchObject({ case: "applied", value: { alreadyApplied: false } });
  expect((await session.result(2n)).result).toMatchObject({
    case: "refused",
    value: { field: "changes[0].step_key", leaseLost: false },
  });
  expect((await session.result(3n)).result.case).toBe("applied");
  session.send({ case: "beat", value: { beatSeq: 1n, held: [{ leaseId: lease.leaseId, epoch: lease.epoch }] } });
  expect(await session.next("beatAck")).toMatchObject({ beatSeq: 1n, lost: [] });

  session.send({ case: "drain", value: {} });
  await session.next("drainAck");
  // There is room for it, and yet nobody gets it.
  await peer.runs.startRun({ ...start(id), runId: `${id}-after`, requestId: "after" });
  session.send({
    case: "ops",
    value: {
      ops: [{ opId: 4n, lease, changes: [{ change: { case: "completeRun", value: { output: json("ok") } } }] }],
    },
  });
  expect((await session.result(4n)).result.case).toBe("applied");
  session.send({ case: "goodbye", value: {} });
  session.closeSending();
  await session.end();
  expect(session.error).toBeUndefined();
  expect(session.of("assign")).toHaveLength(1);
  expect(session.of("frameRefused")).toEqual([]);

  expect((await peer.runs.getRun({ runId: id })).run).toMatchObject({ status: RunStatus.COMPLETED, epoch: 1n });
  expect((await peer.runs.getRun({ runId: `${id}-after` })).run).toMatchObject({ status: RunStatus.QUEUED, epoch: 0n });
  const ends = (await historyOf(peer, id)).filter(({ type }) => type === EventType.LEASE_ENDED);
  expect(ends.map(({ leaseEndReason }) => leaseEndReason)).toEqual([LeaseEndReason.DONE]);
}

async function readAll(messages: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _message of messages) count += 1;
  return count;
}

const typesOf = (events: readonly Event[]) => events.map(({ type }) => type);

/** 1..n without gaps. */
function expectSeqs(events: readonly Event[]): void {
  expect(events.map(({ seq }) => Number(seq))).toEqual(events.map((_, index) => index + 1));
}
