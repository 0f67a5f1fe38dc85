import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ChangeSchema } from "../../gen/ts/everstep/v1/change_pb.ts";
import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import { messageBytesMax, payloadBytesMax } from "../../src/limits.ts";
import { payloadWithBadUtf8, requestWithUnknownFrame, unknownChange } from "./broken.ts";
import { Bystander } from "./bystander.ts";
import { Conversation, type FrameInit } from "./conversation.ts";
import { type Peer, peerKinds } from "./peers.ts";
import { historyOf, json, useServer } from "./world.ts";

// Bad frames and ops of a session are answered in-band with a reason and a field, change nothing, and disturb nobody:
// not the session's own next op, and not the healthy session beside it.

const server = useServer();
const kinds = peerKinds.filter(({ bidi }) => bidi);
const peers: Peer[] = [];
let bystander: Bystander;

beforeAll(() => {
  peers.push(...kinds.map((kind) => kind.open(server.url)));
  bystander = new Bystander(peers[0] as Peer, "bystander");
});
afterEach(() => bystander.completeAnother());
afterAll(async () => {
  await bystander?.stop();
  for (const peer of peers) peer.close();
});

type ChangeInit = MessageInitShape<typeof ChangeSchema>;
const completeStep = (stepKey: string, output: ReturnType<typeof json> = json(stepKey)): ChangeInit => ({
  change: { case: "completeStep", value: { stepKey, output } },
});
const text = (value: string) => ({ data: { case: "json" as const, value } });

/** A session that holds one run with one completed step; ops 1 and 2 have been used. */
class Holder {
  readonly id: string;
  readonly peer: Peer;
  readonly session: Conversation;
  lease!: Lease;

  constructor(peer: Peer, id: string) {
    this.peer = peer;
    this.id = id;
    this.session = new Conversation(peer);
  }
  static async open(peer: Peer, id: string): Promise<Holder> {
    const holder = new Holder(peer, id);
    await peer.runs.startRun({ runId: id, workflow: id, queue: id, input: json(1) });
    await holder.hello(holder.session);
    const { assignments } = await holder.session.next("assign");
    holder.lease = assignments[0]!.lease!;
    holder.session.send({ case: "accept", value: { leases: [holder.lease] } });
    expect((await holder.op(1n, [completeStep("before")])).case).toBe("applied");
    return holder;
  }
  async hello(session: Conversation, held: Lease[] = []): Promise<void> {
    const { id } = this;
    const names = { queues: [id], workflows: [id], workerInstanceId: `instance-${id}` };
    session.send({
      case: "hello",
      value: { protocolVersion: 1, ...names, held: held.map((lease) => ({ lease })) },
    });
    await session.next("welcome");
  }
  send(opId: bigint, changes: ChangeInit[], more: { lease?: Lease; afterRefused?: bigint } = {}): void {
    this.session.send({ case: "ops", value: { ops: [{ opId, lease: this.lease, changes, ...more }] } });
  }
  async op(opId: bigint, changes: ChangeInit[], more: { lease?: Lease; afterRefused?: bigint } = {}) {
    this.send(opId, changes, more);
    return (await this.session.result(opId)).result;
  }
  async everything() {
    return { events: await historyOf(this.peer, this.id), run: (await this.peer.runs.getRun({ runId: this.id })).run };
  }
}

const badOps: [string, ErrorReason, string, (holder: Holder) => [ChangeInit[], { lease?: Lease }?]][] = [
  ["no changes", ErrorReason.INVALID, "changes", () => [[]]],
  ["a change of an unknown kind", ErrorReason.INVALID, "changes[0].change", () => [[unknownChange()]]],
  ["an empty step key", ErrorReason.INVALID, "changes[0].step_key", () => [[completeStep("")]]],
  ["a step key of 10,000", ErrorReason.INVALID, "changes[0].step_key", () => [[completeStep("k".repeat(10_000))]]],
  [
    "text that is no JSON, behind a good change",
    ErrorReason.INVALID,
    "changes[1].output.json",
    () => [[completeStep("good"), completeStep("bad", text("[1,"))]],
  ],
  [
    "a payload above the limit",
    ErrorReason.PAYLOAD_TOO_LARGE,
    "changes[0].output",
    () => [[completeStep("s", json("x".repeat(payloadBytesMax)))]],
  ],
  [
    "another result of a completed step",
    ErrorReason.STEP_COMPLETED,
    "step_key",
    () => [[completeStep("before", json("other"))]],
  ],
  [
    "an unknown run",
    ErrorReason.RUN_NOT_FOUND,
    "lease.run_id",
    ({ lease }) => [[completeStep("s")], { lease: { ...lease, leaseId: new Uint8Array(16).fill(7), runId: "none" } }],
  ],
  [
    "a wrong epoch",
    ErrorReason.LEASE_LOST,
    "",
    ({ lease }) => [[completeStep("s")], { lease: { ...lease, epoch: lease.epoch + 1n } }],
  ],
  [
    "an empty run id",
    ErrorReason.INVALID,
    "lease.run_id",
    ({ lease }) => [[completeStep("s")], { lease: { ...lease, runId: "" } }],
  ],
];

const badFrames: [string, string, (holder: Holder) => FrameInit][] = [
  ["an op without a number", "ops[0].op_id", ({ lease }) => ({ case: "ops", value: { ops: [{ lease }] } })],
  ["a negative capacity", "capacity", () => ({ case: "capacity", value: { capacity: -1 } })],
  ["a lease of nothing", "leases[0].run_id", () => ({ case: "accept", value: { leases: [{}] } })],
  [
    "a run id of 10,000",
    "leases[0].run_id",
    ({ lease }) => ({ case: "release", value: { leases: [{ ...lease, runId: "x".repeat(10_000) }] } }),
  ],
];

/** What comes first on a stream and is not a Hello. */
const notHellos: [string, (session: Conversation) => void][] = [
  ["ops", (session) => session.send({ case: "ops", value: { ops: [{ opId: 1n }] } })],
  ["a beat", (session) => session.send({ case: "beat", value: { beatSeq: 1n } })],
  ["a goodbye", (session) => session.send({ case: "goodbye", value: {} })],
  ["nothing", (session) => session.send({ case: undefined })],
  ["an unknown frame", (session) => session.sendRequest(requestWithUnknownFrame())],
];

for (const [kindNo, kind] of kinds.entries()) {
  describe(kind.name, () => {
    const peerOf = () => peers[kindNo] as Peer;

    for (const [no, [name, reason, field, bad]] of badOps.entries()) {
      test(`op: ${name}`, async () => {
        const holder = await Holder.open(peerOf(), `op-${kindNo}-${no}`);
        const before = await holder.everything();
        const [changes, more] = bad(holder);
        const refused = await holder.op(5n, changes, more);
        const leaseLost = reason === ErrorReason.LEASE_LOST;
        expect(refused).toMatchObject({ case: "refused", value: { reason, field, leaseLost } });
        expect(await holder.everything()).toEqual(before);
        const next = await holder.op(6n, [completeStep("after")], { afterRefused: 5n });
        expect(next.case).toBe("applied");
        holder.session.cut();
      });
    }

    test("op: one behind a refused one waits until the refusal was seen", async () => {
      const holder = await Holder.open(peerOf(), `behind-${kindNo}`);
      const before = await holder.everything();
      // In one go: the worker cannot have seen the refusal of the first.
      for (const opId of [2n, 3n, 4n]) holder.send(opId, [completeStep(opId === 2n ? "" : `step ${opId}`)]);
      expect((await holder.session.result(2n)).result).toMatchObject({ value: { reason: ErrorReason.INVALID } });
      for (const opId of [3n, 4n]) {
        expect((await holder.session.result(opId)).result).toMatchObject({
          case: "refused",
          value: { reason: ErrorReason.PRECEDING_FAILED, field: "after_refused", retryable: true, leaseLost: false },
        });
      }
      expect(await holder.everything()).toEqual(before);
      expect((await holder.op(5n, [completeStep("three")], { afterRefused: 2n })).case).toBe("applied");
      expect((await holder.op(6n, [completeStep("four")])).case).toBe("applied");
      holder.session.cut();
    });

    for (const [no, [name, field, bad]] of badFrames.entries()) {
      test(`frame: ${name}`, async () => {
        const holder = await Holder.open(peerOf(), `frame-${kindNo}-${no}`);
        const before = await holder.everything();
        holder.session.send(bad(holder));
        expect(await holder.session.next("frameRefused")).toMatchObject({ reason: ErrorReason.INVALID, field });
        expect(await holder.everything()).toEqual(before);
        expect((await holder.op(2n, [completeStep("after")])).case).toBe("applied");
        holder.session.cut();
      });
    }

    test("frame: one of an unknown kind ends nothing", async () => {
      const holder = await Holder.open(peerOf(), `unknown-${kindNo}`);
      const before = await holder.everything();
      holder.session.sendRequest(requestWithUnknownFrame());
      expect(await holder.session.next("frameRefused")).toMatchObject({ reason: ErrorReason.PROTOCOL, field: "frame" });
      await holder.hello(holder.session);
      expect(await holder.session.next("frameRefused", 2)).toMatchObject({ reason: ErrorReason.PROTOCOL });
      expect(await holder.everything()).toEqual(before);
      expect((await holder.op(2n, [completeStep("after")])).case).toBe("applied");
      holder.session.cut();
    });

    const unreadable: [string, ErrorReason, () => ReturnType<typeof json>][] = [
      [
        "a payload that is no UTF-8",
        ErrorReason.PROTOCOL,
        payloadWithBadUtf8 as unknown as () => ReturnType<typeof json>,
      ],
      ["a frame above the limit", ErrorReason.PAYLOAD_TOO_LARGE, () => json("x".repeat(messageBytesMax))],
    ];
    for (const [no, [name, reason, output]] of unreadable.entries()) {
      test(`frame: ${name} ends its stream with a reason, and the lease goes on with the next`, async () => {
        const holder = await Holder.open(peerOf(), `unreadable-${kindNo}-${no}`);
        const before = await holder.everything();
        holder.send(2n, [completeStep("s", output())]);
        expect(await holder.session.next("frameRefused")).toMatchObject({ reason, field: "frame" });
        await holder.session.end();
        expect(await holder.everything()).toEqual(before);
        const again = new Conversation(holder.peer);
        await holder.hello(again, [holder.lease]);
        expect((await again.next("welcome")).verdicts).toMatchObject([{ kept: true, lastOpId: 1n }]);
        const changes = [completeStep("after")];
        again.send({ case: "ops", value: { ops: [{ opId: 2n, lease: holder.lease, changes }] } });
        expect((await again.result(2n)).result.case).toBe("applied");
        again.cut();
      });
    }

    for (const [name, send] of notHellos) {
      test(`before Hello: ${name}`, async () => {
        const session = new Conversation(peerOf());
        send(session);
        expect(await session.next("frameRefused")).toMatchObject({ reason: ErrorReason.PROTOCOL, field: "frame" });
        await session.end();
        expect(session.kinds).toEqual(["frameRefused"]);
      });
    }

    const badHellos: [string, ErrorReason, string, object][] = [
      ["an empty instance id", ErrorReason.INVALID, "worker_instance_id", { workerInstanceId: "" }],
      ["an instance id of 10,000", ErrorReason.INVALID, "worker_instance_id", { workerInstanceId: "x".repeat(10_000) }],
      ["no workflows", ErrorReason.INVALID, "workflows", { workflows: [] }],
      ["a version of later", ErrorReason.VERSION_UNSUPPORTED, "protocol_version", { protocolVersion: 2 }],
    ];
    for (const [name, reason, field, wrong] of badHellos) {
      test(`Hello: ${name}`, async () => {
        const session = new Conversation(peerOf());
        const hello = { protocolVersion: 1, workerInstanceId: "instance", workflows: ["w"], ...wrong };
        session.send({ case: "hello", value: hello });
        expect(await session.next("frameRefused")).toMatchObject({ reason, field });
        await session.end();
        expect(session.kinds).toEqual(["frameRefused"]);
      });
    }
  });
}
