import { EngineError, type Refusal, refuse } from "../core/errors.ts";
import type { SessionHandle } from "../engine/api.ts";
import { capacityMax, frameOpsMax, knownLeasesMax, opChangesMax } from "../limits.ts";
import type { Change as WireChange, Op } from "../../gen/ts/everstep/v1/change_pb.ts";
import type { Beat, Hello, Ops, WorkerFrame } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import { changeFrom } from "./convert/change.ts";
import { checkCapacity, helloFrom } from "./convert/hello.ts";
import { hexFrom, leaseAsSent, leaseFrom, leaseOf } from "./convert/lease.ts";
import { createKnownLeases } from "./session-wire/known-leases.ts";
import type { LeanWorkerFrame } from "./session-wire/lean-session.ts";
import { createOpReader } from "./session-wire/op-reader.ts";
import { checkCount, checkDuration, checkInt, checkSeq, each } from "./validate.ts";

// Frames of a worker on their way in. What is wrong with a frame is answered in-band and ends nothing; only a Hello
// that cannot be understood ends its stream, because nothing can follow it.

export interface FrameReader {
  read(frame: WorkerFrame | undefined): void;
  /** The same with the ops as bytes. Throws ConnectError when these are no ops. */
  readLean(frame: LeanWorkerFrame | undefined): void;
  /** True once the worker has said that nothing will follow. */
  readonly saidGoodbye: boolean;
}

export function createFrameReader(
  handle: SessionHandle,
  options: { readonly payloadBytesMax: number; readonly onBadHello: (refusal: Refusal) => void },
): FrameReader {
  let greeted = false;
  let saidGoodbye = false;
  const opReader = createOpReader({
    leases: createKnownLeases(knownLeasesMax),
    payloadBytesMax: options.payloadBytesMax,
  });

  function readHello(wire: Hello): void {
    if (greeted) {
      handle.invalidFrame(refuse("PROTOCOL", "this stream has said Hello already", { field: "frame" }));
      return;
    }
    try {
      handle.hello(helloFrom(wire));
      greeted = true;
    } catch (error) {
      options.onBadHello(refusalOf(error));
    }
  }

  function readOps({ ops }: Ops): void {
    checkCount("ops", ops.length, 0, frameOpsMax);
    each("ops", ops, readOp);
  }

  function readLeanOps({ frame, ops }: LeanWorkerFrame): void {
    if (frame.case !== undefined) {
      throw new EngineError(refuse("PROTOCOL", `the frame holds ops and ${frame.case}`, { field: "frame" }));
    }
    const read = opReader.read(ops);
    checkCount("ops", read.length, 0, frameOpsMax);
    each("ops", read, ({ op, wire }) => (op === undefined ? readOp(wire) : handle.op(op)));
  }

  function readChange(change: WireChange) {
    return changeFrom(change, options.payloadBytesMax);
  }

  function readOp(op: Op): void {
    // Without a number there is nothing that an OpResult could answer.
    const opId = checkInt("op_id", op.opId, 1, Number.MAX_SAFE_INTEGER);
    try {
      checkCount("changes", op.changes.length, 1, opChangesMax);
      const lease = leaseFrom("lease", op.lease);
      const changes = each("changes", op.changes, readChange);
      handle.op({ opId, lease, changes, afterRefused: checkSeq("after_refused", op.afterRefused) });
    } catch (error) {
      handle.invalidOp(opId, leaseAsSent(op.lease), refusalOf(error));
    }
  }

  function readBeat(beat: Beat): void {
    checkCount("held", beat.held.length, 0, capacityMax);
    const held = each("held", beat.held, (lease) => ({
      leaseId: hexFrom(lease.leaseId.subarray(0, 64)),
      epoch: checkSeq("epoch", lease.epoch),
      noticesSeen: checkSeq("notices_seen", lease.noticesSeen),
    }));
    handle.beat(checkSeq("beat_seq", beat.beatSeq), held);
  }

  function readFrame({ frame }: Pick<WorkerFrame, "frame">): void {
    switch (frame.case) {
      case "ops":
        return readOps(frame.value);
      case "beat":
        return readBeat(frame.value);
      case "accept":
        return handle.accept(each("leases", frame.value.leases, leaseOf));
      case "hello":
        return readHello(frame.value);
      case "capacity":
        return handle.capacity(checkCapacity(frame.value.capacity));
      case "release": {
        const leases = each("leases", frame.value.leases, leaseOf);
        return handle.release(leases, checkDuration("retry_after_ms", frame.value.retryAfterMs));
      }
      case "drain":
        return handle.drain();
      case "goodbye":
        saidGoodbye = greeted;
        return handle.goodbye();
      case "pong":
        return handle.pong(checkSeq("nonce", frame.value.nonce));
      default:
        handle.invalidFrame(
          refuse("PROTOCOL", "the frame is empty, or of a kind that is unknown here", { field: "frame" }),
        );
    }
  }

  return {
    read(frame) {
      try {
        readFrame(frame ?? emptyFrame);
      } catch (error) {
        handle.invalidFrame(refusalOf(error));
      }
    },
    readLean(frame) {
      try {
        if (frame !== undefined && frame.ops.length > 0) readLeanOps(frame);
        else readFrame(frame ?? emptyFrame);
      } catch (error) {
        handle.invalidFrame(refusalOf(error));
      }
    },
    get saidGoodbye() {
      return saidGoodbye;
    },
  };
}

const emptyFrame: WorkerFrame = { $typeName: "everstep.v1.WorkerFrame", frame: { case: undefined } };

/** A refusal is an answer; anything else is a bug and ends the stream. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof EngineError) return error.refusal;
  throw error;
}
