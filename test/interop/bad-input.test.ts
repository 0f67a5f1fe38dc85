import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { messageBytesMax, payloadBytesMax } from "../../src/limits.ts";
import { payloadWithBadUtf8, watchWithBadUtf8 } from "./broken.ts";
import { Bystander } from "./bystander.ts";
import { type Peer, peerKinds } from "./peers.ts";
import { refusalOf } from "./refusal.ts";
import { acquire, historyOf, json, useServer } from "./world.ts";

// Bad input of single calls gets a named error and changes nothing, while a healthy session beside it works on.

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

const invalid = (field: string) => ({ code: "InvalidArgument", reason: "INVALID", field });
const tooLarge = (field: string) => ({ code: "ResourceExhausted", reason: "PAYLOAD_TOO_LARGE", field });
const notFound = (field: string) => ({ code: "NotFound", reason: "RUN_NOT_FOUND", field });
const leaseLost = { code: "FailedPrecondition", reason: "LEASE_LOST" };

const longId = "x".repeat(10_000);
const badJson = { data: { case: "json" as const, value: '{"a":' } };
const noJson = { data: { case: "json" as const, value: "" } };
const largeJson = () => json("x".repeat(payloadBytesMax - 1));
const largeBytes = () => ({ data: { case: "bytes" as const, value: new Uint8Array(payloadBytesMax + 1) } });

/** What is done wrong to a run that is open and leased. */
type Wrong = (peer: Peer, run: { runId: string; lease: Lease }) => Promise<unknown>;
type Expected = Partial<Awaited<ReturnType<typeof refusalOf>>>;

const wrongs: [string, Expected, Wrong][] = [
  ["GetRun of an unknown run", notFound("run_id"), ({ runs }) => runs.getRun({ runId: "none" })],
  ["GetRunHistory of an unknown run", notFound("run_id"), ({ runs }) => runs.getRunHistory({ runId: "none" })],
  ["SignalRun of an unknown run", notFound("run_id"), ({ runs }) => runs.signalRun({ runId: "none", name: "n" })],
  ["CancelRun of an unknown run", notFound("run_id"), ({ runs }) => runs.cancelRun({ runId: "none" })],
  ["TerminateRun of an unknown run", notFound("run_id"), ({ runs }) => runs.terminateRun({ runId: "none" })],
  ["WaitRun of an unknown run", notFound("run_id"), ({ runs }) => runs.waitRun({ runId: "none" })],
  [
    "a known run in another namespace",
    notFound("run_id"),
    ({ runs }, { runId }) => runs.getRun({ runId, namespace: "other" }),
  ],
  [
    "CompleteStep of an unknown run",
    notFound("lease.run_id"),
    ({ leases }, { lease }) => leases.completeStep({ lease: { ...lease, runId: "none" }, stepKey: "s" }),
  ],
  [
    "an epoch that is over",
    leaseLost,
    ({ leases }, { lease }) => leases.completeRun({ lease: { ...lease, epoch: lease.epoch + 1n } }),
  ],
  [
    "the id of another lease",
    leaseLost,
    ({ leases }, { lease }) => leases.completeRun({ lease: { ...lease, leaseId: new Uint8Array(16) } }),
  ],
  [
    "epoch 0",
    invalid("lease.epoch"),
    ({ leases }, { lease }) => leases.completeRun({ lease: { ...lease, epoch: 0n } }),
  ],
  [
    "half a lease id",
    invalid("lease.lease_id"),
    ({ leases }, { lease }) => leases.completeRun({ lease: { ...lease, leaseId: lease.leaseId.subarray(8) } }),
  ],
  [
    "a text above the limit",
    tooLarge("output"),
    ({ leases }, { lease }) => leases.completeStep({ lease, stepKey: "s", output: largeJson() }),
  ],
  [
    "bytes above the limit",
    tooLarge("payload"),
    ({ runs }, { runId }) => runs.signalRun({ runId, name: "n", payload: largeBytes() }),
  ],
  [
    "a message above the limit",
    tooLarge(""),
    ({ runs }, { runId }) => runs.signalRun({ runId, name: "n", payload: json("x".repeat(messageBytesMax)) }),
  ],
  [
    "text that is no JSON",
    invalid("output.json"),
    ({ leases }, { lease }) => leases.completeStep({ lease, stepKey: "s", output: badJson }),
  ],
  [
    "no text where JSON is said",
    invalid("payload.json"),
    ({ runs }, { runId }) => runs.signalRun({ runId, name: "n", payload: noJson }),
  ],
  [
    "a step's result that is no UTF-8",
    { code: "InvalidArgument", reason: "INVALID" },
    ({ leases }, { lease }) => leases.completeStep({ lease, stepKey: "s", output: payloadWithBadUtf8() }),
  ],
  [
    "a signal that is no UTF-8",
    { code: "InvalidArgument", reason: "INVALID" },
    ({ runs }, { runId }) => runs.signalRun({ runId, name: "n", payload: payloadWithBadUtf8() }),
  ],
  [
    "a watched run whose name is no UTF-8",
    { code: "InvalidArgument", reason: "INVALID" },
    async ({ runs }) => {
      for await (const _message of runs.watchRun(watchWithBadUtf8()));
    },
  ],
  ["an empty run id", invalid("run_id"), ({ runs }) => runs.terminateRun({})],
  ["an empty step key", invalid("step_key"), ({ leases }, { lease }) => leases.completeStep({ lease })],
  ["an empty signal name", invalid("name"), ({ runs }, { runId }) => runs.signalRun({ runId })],
  ["a run id of 10,000", invalid("run_id"), ({ runs }) => runs.startRun({ workflow: "w", runId: longId })],
  ["2,500 emoji", invalid("run_id"), ({ runs }) => runs.startRun({ workflow: "w", runId: "🐢".repeat(2_500) })],
  ["a run id with a line break", invalid("run_id"), ({ runs }) => runs.startRun({ workflow: "w", runId: "a\nb" })],
  [
    "a step key of 10,000",
    invalid("step_key"),
    ({ leases }, { lease }) => leases.startStep({ lease, stepKey: longId }),
  ],
  ["a signal name of 10,000", invalid("name"), ({ runs }, { runId }) => runs.signalRun({ runId, name: longId })],
  [
    "a request id of 10,000",
    invalid("request_id"),
    ({ runs }, { runId }) => runs.signalRun({ runId, name: "n", requestId: longId }),
  ],
  ["a reason of 10,000", invalid("reason"), ({ runs }, { runId }) => runs.cancelRun({ runId, reason: longId })],
  ["a workflow of 10,000", invalid("workflow"), ({ runs }) => runs.startRun({ workflow: longId })],
  ["a run key of 10,000", invalid("run_key"), ({ runs }) => runs.startRun({ workflow: "w", runKey: longId })],
  ["a worker id of 10,000", invalid("worker_id"), ({ leases }) => leases.acquireLease({ workerId: longId })],
];

for (const [kindNo, kind] of peerKinds.entries()) {
  describe(kind.name, () => {
    for (const [wrongNo, [name, expected, wrong]] of wrongs.entries()) {
      test(name, async () => {
        const peer = peers[kindNo] as Peer;
        const runId = `bad-${kindNo}-${wrongNo}`;
        await peer.runs.startRun({ runId, workflow: runId, queue: runId, input: json(1) });
        const lease = await acquire(peer, runId);
        await peer.leases.completeStep({ lease, stepKey: "before", output: json(1) });
        const everything = async () => ({
          events: await historyOf(peer, runId),
          run: (await peer.runs.getRun({ runId })).run,
          others: (await peer.runs.countRuns({ filter: { workflow: "w" } })).total,
        });
        const before = await everything();

        const refused = await refusalOf(wrong(peer, { runId, lease }));
        expect(refused).toMatchObject({ ...expected, domain: "everstep.v1" });
        // Words for a person: which field is wrong, and not all of what was sent.
        if (refused.reason !== "RUN_NOT_FOUND") expect(refused.message).toContain(refused.field);
        expect(refused.message.length).toBeLessThan(400);

        expect(await everything()).toEqual(before);
        // The lease is as good as before.
        expect(await peer.leases.completeRun({ lease })).toMatchObject({ alreadyApplied: false });
      });
    }
  });
}

test("a JSON body that is no UTF-8", async () => {
  const { runs } = peers[0] as Peer;
  const body = Buffer.concat([Buffer.from('{"workflow":"w","runId":"'), Buffer.of(0xff), Buffer.from('"}')]);
  const headers = { "content-type": "application/json" };
  const url = `${server.url}/everstep.v1.RunService/StartRun`;
  const response = await fetch(url, { method: "POST", headers, body });
  expect(response.status).toBe(400);
  const answer = (await response.json()) as { code: string; details: { debug: { reason: string } }[] };
  expect(answer).toMatchObject({ code: "invalid_argument", details: [{ debug: { reason: "INVALID" } }] });
  // Neither a run of that name nor one whose name was mended.
  expect((await runs.countRuns({ filter: { workflow: "w" } })).total).toBe(0n);
});
