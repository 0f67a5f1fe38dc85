import { ErrorReason } from "../../gen/ts/everstep/v1/error_reason_pb.ts";
import type { Op, OpResult } from "../../gen/ts/everstep/v1/change_pb.ts";
import type { ServerFrame, WorkerFrame } from "../../gen/ts/everstep/v1/worker_service_pb.ts";
import type { Checker } from "./checker.ts";
import type { Timeline } from "./timeline.ts";

// Listens to the streams, at the server's socket. Whatever is told there must be in the file already.

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export class Conversation {
  readonly #checker: Checker;
  readonly #timeline: Timeline;
  readonly #ops = new Map<string, Op>();
  /** Held leases of a beat, by lease; the beat's number and when it came. */
  readonly #beats = new Map<string, { readonly beatSeq: bigint; readonly atMs: number }>();

  constructor(checker: Checker, timeline: Timeline) {
    this.#checker = checker;
    this.#timeline = timeline;
  }

  asked({ frame }: WorkerFrame): void {
    this.#timeline.trace(`worker says ${frame.case}`);
    if (frame.case === "ops") {
      for (const op of frame.value.ops)
        if (op.lease !== undefined) this.#ops.set(`${hex(op.lease.leaseId)} ${op.opId}`, op);
    } else if (frame.case === "beat") {
      const { beatSeq } = frame.value;
      for (const { leaseId } of frame.value.held)
        this.#beats.set(hex(leaseId), { beatSeq, atMs: this.#timeline.nowMs });
    }
  }

  told({ frame }: ServerFrame): void {
    this.#timeline.trace(`server says ${frame.case}`);
    const checker = this.#checker;
    if (frame.case === "assign") {
      for (const { lease } of frame.value.assignments) {
        if (lease === undefined) continue;
        const run = checker.known(lease.runId, "an assignment");
        const epoch = Number(lease.epoch);
        if (run.epoch < epoch)
          throw checker.violation(`I1 epoch ${epoch} of ${lease.runId} is told before it is durable`);
        if (run.epoch === epoch && run.leaseId !== hex(lease.leaseId)) {
          throw checker.violation(`I5 two leases of epoch ${epoch} of ${lease.runId}`);
        }
      }
    } else if (frame.case === "opResults") for (const result of frame.value.results) this.#result(result);
    else if (frame.case === "beatAck") {
      const lost = new Set(frame.value.lost.map(({ leaseId }) => hex(leaseId)));
      for (const [lease, beat] of this.#beats) {
        if (beat.beatSeq === frame.value.beatSeq && beat.atMs === this.#timeline.nowMs && !lost.has(lease)) {
          checker.renewed(lease, beat.atMs);
        }
      }
    }
  }

  #result({ opId, leaseId, result }: OpResult): void {
    const checker = this.#checker;
    const op = this.#ops.get(`${hex(leaseId)} ${opId}`);
    if (op?.lease === undefined) return;
    const run = checker.known(op.lease.runId, "a result");
    const same = run.leased && run.leaseId === hex(leaseId);
    if (result.case === "refused" && result.value.reason === ErrorReason.LEASE_LOST && same) {
      throw checker.violation(`I5 the live lease of ${run.runId} is called lost`);
    }
    if (result.case === "refused" && result.value.reason === ErrorReason.STEP_COMPLETED) {
      for (const { change } of op.changes) {
        if (change.case === "completeStep" && !run.results.has(change.value.stepKey)) {
          throw checker.violation(`I1 ${run.runId}: a refusal tells of a result that is not durable`);
        }
      }
    }
    if (result.case !== "applied") return;
    for (const { change } of op.changes) {
      if (change.case === "completeStep" && !run.results.has(change.value.stepKey)) {
        throw checker.violation(`I1 ${run.runId} ${change.value.stepKey} is acknowledged before it is durable`);
      }
      if ((change.case === "completeRun" || change.case === "suspendRun" || change.case === "failRun") && same) {
        throw checker.violation(`I1 ${run.runId}: ${change.case} is acknowledged before it is durable`);
      }
    }
  }
}
