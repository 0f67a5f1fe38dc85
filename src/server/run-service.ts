import type { ServiceImpl } from "@connectrpc/connect";
import type { Engine } from "../engine/api.ts";
import { waitRunMsDefault, waitRunMsMax } from "../limits.ts";
import { RunStatus } from "../../gen/ts/everstep/v1/run_pb.ts";
import type { Resolution, RunService } from "../../gen/ts/everstep/v1/run_service_pb.ts";
import { callSignal, orRevoked } from "./call.ts";
import { awaitTo } from "./convert/await.ts";
import { failureFrom } from "./convert/failure.ts";
import { payloadFrom } from "./convert/payload.ts";
import { runSummaryTo, runTo, timerTo } from "./convert/run.ts";
import { filterFrom, startFrom } from "./convert/start.ts";
import { createRunLists } from "./run-lists.ts";
import { refFrom } from "./run-ref.ts";
import { startRuns } from "./start-runs.ts";
import {
  checkGrace,
  checkInt,
  checkName,
  checkNamespace,
  checkOptionalName,
  checkReason,
  checkRequestId,
  invalid,
  nested,
} from "./validate.ts";

// RunService over the engine: check, ask, encode. Nothing is decided here.

type RunServiceImpl = ServiceImpl<typeof RunService>;

export function createRunService(engine: Engine): RunServiceImpl {
  const bytesMax = engine.settings.payloadBytesMax;
  return {
    ...createRunLists(engine),
    ...createSteering(engine),

    async startRun(request) {
      const { run, already } = await engine.startRun(startFrom(request, bytesMax));
      return { run: runTo(run), alreadyStarted: already };
    },
    startRuns: (request) => startRuns(engine, request.runs),
    async signalWithStartRun(request) {
      const { start } = request;
      if (start === undefined) throw invalid("start", "is missing");
      if (start.runKey === "") throw invalid("start.run_key", "is missing");
      const requestId = checkRequestId(request.requestId);
      const checked = nested("start", () => startFrom(start, bytesMax));
      // The call has one effect: also when the run that it started has ended, a repeat must find it again.
      const named = checked.requestId === "" ? { ...checked, requestId } : checked;
      const { run, started, signalSeq } = await engine.signalWithStartRun(named, {
        name: checkName("signal_name", request.signalName),
        payload: payloadFrom("signal_payload", request.signalPayload, bytesMax),
        requestId,
      });
      return { run: runTo(run), started, signalId: BigInt(signalSeq) };
    },
    async getRun(request) {
      return { run: runTo(await engine.getRun(refFrom(request))) };
    },
    async countRuns(request) {
      const counts = await engine.countRuns(nested("filter", () => filterFrom(request.filter)));
      const total = counts.reduce((sum, { count }) => sum + count, 0);
      return {
        counts: counts.map(({ status, count }) => ({ status: RunStatus[status], count: BigInt(count) })),
        total: BigInt(total),
      };
    },
    async waitRun(request, context) {
      const timeoutMs =
        request.timeoutMs === 0n ? waitRunMsDefault : checkInt("timeout_ms", request.timeoutMs, 1, waitRunMsMax);
      const { run, timedOut } = await orRevoked(
        context,
        engine.waitRun(refFrom(request), { timeoutMs, signal: callSignal(context) }),
      );
      return { run: runTo(run), timedOut };
    },
    async getStepStats(request) {
      const stats = await engine.stepStats({
        namespace: checkNamespace(request.namespace),
        workflow: checkOptionalName("workflow", request.workflow),
      });
      return { stats: stats.map((row) => ({ ...row, completed: BigInt(row.completed) })) };
    },
    async signalRun(request) {
      const { signalSeq, already } = await engine.signalRun(refFrom(request), {
        name: checkName("name", request.name),
        payload: payloadFrom("payload", request.payload, bytesMax),
        requestId: checkRequestId(request.requestId),
      });
      return { signalId: BigInt(signalSeq), alreadyReceived: already };
    },
    async explainRun(request) {
      const explained = await engine.explainRun(refFrom(request));
      return {
        run: runSummaryTo(explained.run),
        text: explained.text,
        awaits: explained.awaits.map(awaitTo),
        timers: explained.timers.map(timerTo),
        openSignals: BigInt(explained.openSignals),
        leaseRemainingMs: BigInt(Math.max(0, Math.ceil(explained.leaseRemainingMs))),
        queueServed: explained.queueServed,
        deliveriesSinceProgress: BigInt(explained.deliveriesSinceProgress),
      };
    },
  };
}

type Steering = "cancelRun" | "terminateRun" | "pauseRun" | "resumeRun" | "retryRun";

function createSteering(engine: Engine): Pick<RunServiceImpl, Steering> {
  return {
    async cancelRun(request) {
      const options = { reason: checkReason(request.reason), graceMs: checkGrace(request.graceMs) };
      return { run: runTo(await engine.cancelRun(refFrom(request), options)) };
    },
    async terminateRun(request) {
      return { run: runTo(await engine.terminateRun(refFrom(request), { reason: checkReason(request.reason) })) };
    },
    async pauseRun(request) {
      const options = { reason: checkReason(request.reason), graceMs: checkGrace(request.graceMs) };
      return { run: runTo(await engine.pauseRun(refFrom(request), options)) };
    },
    async resumeRun(request) {
      const resolution = resolutionFrom(request.resolution, engine.settings.payloadBytesMax);
      return { run: runTo(await engine.resumeRun(refFrom(request), resolution)) };
    },
    async retryRun(request) {
      const options = { reason: checkReason(request.reason), requestId: checkRequestId(request.requestId) };
      return { run: runTo(await engine.retryRun(refFrom(request), options)) };
    },
  };
}

function resolutionFrom(wire: Resolution | undefined, bytesMax: number): Parameters<Engine["resumeRun"]>[1] {
  const verdict = wire?.verdict;
  switch (verdict?.case) {
    case "repeat":
      return { kind: "repeat" };
    case "complete":
      return { kind: "complete", output: payloadFrom("resolution.complete", verdict.value, bytesMax) };
    case "fail":
      return { kind: "fail", failure: failureFrom("resolution.fail", verdict.value, bytesMax) };
    default:
      if (wire !== undefined) throw invalid("resolution", "has no verdict, or one of a kind that is unknown here");
      return undefined;
  }
}
