import type { ServiceImpl } from "@connectrpc/connect";
import type { Change } from "../core/command.ts";
import type { Engine, LeasedRef } from "../engine/api.ts";
import type { OpApplied, ResolvedNote } from "../engine/frames.ts";
import { acquireWaitMsMax, sessionWorkflowsMax } from "../limits.ts";
import type { Lease } from "../../gen/ts/everstep/v1/lease_pb.ts";
import type { LeaseService } from "../../gen/ts/everstep/v1/lease_service_pb.ts";
import { callSignal, orRevoked } from "./call.ts";
import { assignmentTo, noticeTo } from "./convert/assignment.ts";
import * as changes from "./convert/change.ts";
import { queuesFrom } from "./convert/hello.ts";
import { leaseFrom } from "./convert/lease.ts";
import { delayTo } from "./convert/op-result.ts";
import { payloadFrom, payloadTo } from "./convert/payload.ts";
import {
  checkCount,
  checkDuration,
  checkInt,
  checkLeaseTtl,
  checkName,
  checkNamespace,
  checkRequestId,
  checkSeq,
} from "./validate.ts";

// LeaseService: the changes of a session as single calls.

interface LeasedRequest {
  readonly namespace: string;
  readonly lease?: Lease | undefined;
}

function leasedFrom(wire: LeasedRequest): LeasedRef {
  return { namespace: checkNamespace(wire.namespace), lease: leaseFrom("lease", wire.lease) };
}

export function createLeaseService(engine: Engine): ServiceImpl<typeof LeaseService> {
  const bytesMax = engine.settings.payloadBytesMax;

  /** Applies one change; every answer tells of the notices. */
  async function apply(request: LeasedRequest & { readonly opId: bigint }, change: Change) {
    const opId = checkSeq("op_id", request.opId);
    const { applied, notices } = await engine.applyUnary({ ...leasedFrom(request), opId, change });
    return { applied, answer: { alreadyApplied: applied.already, notices: notices.map(noticeTo) } };
  }

  return {
    async acquireLease(request, context) {
      checkCount("workflows", request.workflows.length, 0, sessionWorkflowsMax);
      const acquire = {
        namespace: checkNamespace(request.namespace),
        queues: queuesFrom(request.queues),
        workflows: [...new Set(request.workflows.map((name, index) => checkName(`workflows[${index}]`, name)))],
        workerId: checkName("worker_id", request.workerId),
        requestId: checkRequestId(request.requestId),
        waitMs: checkInt("wait_ms", request.waitMs, 0, acquireWaitMsMax),
        leaseTtlMs: checkLeaseTtl(request.leaseTtlMs),
      };
      const assignment = await orRevoked(context, engine.acquireLease(acquire, callSignal(context)));
      return { assignment: assignment && assignmentTo(assignment) };
    },
    async renewLease(request) {
      const leaseTtlMs = checkLeaseTtl(request.leaseTtlMs);
      const { expiresInMs, notices } = await engine.renewLease({ ...leasedFrom(request), leaseTtlMs });
      return { expiresInMs: BigInt(Math.max(0, Math.floor(expiresInMs))), notices: notices.map(noticeTo) };
    },
    async releaseLease(request) {
      const retryAfterMs = checkDuration("retry_after_ms", request.retryAfterMs);
      await engine.releaseLease({ ...leasedFrom(request), retryAfterMs });
      return {};
    },
    async startStep(request) {
      return (await apply(request, changes.startStep(request, bytesMax))).answer;
    },
    async completeStep(request) {
      const { applied, answer } = await apply(request, changes.completeStep(request, bytesMax));
      return { ...answer, storedOutput: payloadTo(noteOf(applied, "stored")?.output) };
    },
    async failStep(request) {
      const { applied, answer } = await apply(request, changes.failStep(request, bytesMax));
      const note = noteOf(applied, "retry");
      if (note === undefined) return answer;
      const { nextAttempt, retryAtMs } = note;
      return { ...answer, retry: { nextAttempt, delayMs: delayTo(retryAtMs, applied.nowMs) } };
    },
    async createTimer(request) {
      const { applied, answer } = await apply(request, changes.setTimer(request));
      const note = noteOf(applied, "timer");
      return { ...answer, delayMs: note ? delayTo(note.firesAtMs, applied.nowMs) : 0n };
    },
    async cancelTimer(request) {
      return (await apply(request, changes.cancelTimer(request))).answer;
    },
    async consumeSignal(request) {
      const { applied, answer } = await apply(request, changes.consumeSignal(request));
      const note = noteOf(applied, "signal");
      return { ...answer, signalId: BigInt(note?.signalSeq ?? 0), payload: payloadTo(note?.payload) };
    },
    async suspendRun(request) {
      const { applied, answer } = await apply(request, changes.suspendRun(request));
      return { ...answer, queued: applied.queued };
    },
    async completeRun(request) {
      const output = payloadFrom("output", request.output, bytesMax);
      return (await apply(request, { type: "CompleteRun", output })).answer;
    },
    async failRun(request) {
      return (await apply(request, changes.failRun(request, bytesMax))).answer;
    },
  };
}

function noteOf<K extends ResolvedNote["kind"]>(applied: OpApplied, kind: K) {
  return applied.notes.find((note): note is Extract<ResolvedNote, { kind: K }> => note.kind === kind);
}
