// What holds for every frame of every worker, whatever the scenario. Each rule is one of worker_service.proto or
// change.proto; a broken one fails the scenario.
import type { Change, Op } from "../../gen/ts/everstep/v1/change_pb.ts";
import type { WorkerFrame } from "../../gen/ts/everstep/v1/worker_service_pb.ts";

const changesPerOpMax = 64;
const opsPerFrameMax = 1_024;

interface StreamState {
  frames: number;
  beatSeq: bigint;
  goodbye: boolean;
  readonly accepted: Set<string>;
  /** Highest op_id of each lease on this stream. */
  readonly lastOpIds: Map<string, bigint>;
}

export class Rules {
  readonly #streams = new Map<object, StreamState>();
  /** Leases that were accepted or listed on any stream. */
  readonly #known = new Set<string>();
  #instanceId: string | undefined;

  check(stream: object, { frame }: WorkerFrame): void {
    const state = this.#streams.get(stream) ?? newState();
    this.#streams.set(stream, state);
    state.frames += 1;
    rule(!state.goodbye, "goodbye is the last frame");
    rule((frame.case === "hello") === (state.frames === 1), "hello is the first frame of a stream and comes once");
    switch (frame.case) {
      case "hello": {
        const { protocolVersion, workerInstanceId, sdk, held } = frame.value;
        rule(protocolVersion === 1, "hello names protocol version 1");
        rule(workerInstanceId.length >= 8 && workerInstanceId.length <= 128, "worker_instance_id has 8 to 128 bytes");
        rule(this.#instanceId === undefined || this.#instanceId === workerInstanceId, "worker_instance_id is stable");
        rule(/^[a-z]+\/\d/.test(sdk), "hello names the SDK and its version");
        this.#instanceId = workerInstanceId;
        for (const { lease } of held) rule(this.#known.has(id(lease?.leaseId)), "hello lists only accepted leases");
        for (const { lease } of held) state.accepted.add(id(lease?.leaseId));
        return;
      }
      case "accept":
        for (const { leaseId } of frame.value.leases) this.#known.add(id(leaseId));
        for (const { leaseId } of frame.value.leases) state.accepted.add(id(leaseId));
        return;
      case "beat":
        rule(
          frame.value.beatSeq === state.beatSeq + 1n || state.beatSeq === 0n,
          "beat_seq grows by one with each beat",
        );
        state.beatSeq = frame.value.beatSeq;
        return;
      case "ops":
        rule(frame.value.ops.length >= 1 && frame.value.ops.length <= opsPerFrameMax, "a frame has 1 to 1,024 ops");
        for (const op of frame.value.ops) this.#checkOp(state, op);
        return;
      case "goodbye":
        state.goodbye = true;
        return;
      default:
        rule(frame.case !== undefined, "every frame has a kind that the server knows");
    }
  }

  #checkOp(state: StreamState, op: Op): void {
    const lease = id(op.lease?.leaseId);
    rule(state.accepted.has(lease), "a lease is accepted, or listed in hello, before its first op");
    rule(op.opId >= 1n, "op ids begin at 1");
    rule(op.changes.length >= 1 && op.changes.length <= changesPerOpMax, "an op has 1 to 64 changes");
    rule(
      op.changes.slice(0, -1).every((change) => !endsLease(change)),
      "a change that ends the lease is the last one",
    );
    const last = state.lastOpIds.get(lease) ?? 0n;
    // A refused op may be sent again under its id; what goes out anew has a new one.
    if (op.opId > last) state.lastOpIds.set(lease, op.opId);
  }
}

function newState(): StreamState {
  return { frames: 0, beatSeq: 0n, goodbye: false, accepted: new Set(), lastOpIds: new Map() };
}

function endsLease({ change }: Change): boolean {
  switch (change.case) {
    case "suspendRun":
    case "completeRun":
    case "failRun":
    case "cancelledRun":
      return true;
    default:
      return false;
  }
}

function id(leaseId: Uint8Array | undefined): string {
  return Buffer.from(leaseId ?? []).toString("hex");
}

/** A worker has broken the protocol. */
export class BrokenRule extends Error {
  constructor(rule: string) {
    super(`a rule of the protocol is broken: ${rule}`);
  }
}

function rule(holds: boolean, what: string): void {
  if (!holds) throw new BrokenRule(what);
}
